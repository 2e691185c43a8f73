import type { Clock } from "../../backends/clock.ts";
import { Problem } from "../../protocol/problems.ts";
import { isFinal } from "../../protocol/states.ts";
import type { JobService, JobView } from "./job-service.ts";

const LOOK_MS = 200;

/** Stops all of an API's jobs; resolves when each has its final state. */
export async function stopAllJobs(jobs: JobService, clock: Clock, api: string): Promise<void> {
  for (;;) {
    const active = await activeJobs(jobs, api);
    if (active.length === 0) return;
    for (const { spec } of active) {
      await jobs.stop(api, spec.job).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error; // it ended by itself meanwhile
      });
    }
    await clock.sleep(LOOK_MS);
  }
}

async function activeJobs(jobs: JobService, api: string): Promise<JobView[]> {
  const active: JobView[] = [];
  for (const state of ["pending", "running", "completing"] as const) {
    const page = await jobs.list(api, { state });
    active.push(...page.jobs.filter((job) => !isFinal(job.state)));
  }
  return active;
}
