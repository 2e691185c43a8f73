/** Jobs of an API and of those that it hosts: each name sees its own alone, and all of them stand under the host's keys. */
import type { Clock } from "../../backends/clock.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { apiOf } from "../../protocol/jobs.ts";
import { Problem } from "../../protocol/problems.ts";
import type { JobService } from "./job-service.ts";
import { readSpec } from "./view.ts";

export interface HostedJobsOptions {
  readonly jobs: JobService;
  readonly store: ObjectStore;
  readonly host: string;
  /** The version that new jobs of a hosted API get. Throws `Problem` (api_not_found). */
  readonly currentOf: (name: string) => Promise<string>;
}

/** The job service for doors that know several names; calls of the host's own go through as they are, but see no other's jobs. */
export function hostedJobs({ jobs, store, host, currentOf }: HostedJobsOptions): JobService {
  /** Throws `Problem` (job_not_found) for a job of another name. */
  const mustBeOf = async (api: string, job: string): Promise<void> => {
    const spec = await readSpec(store, host, job);
    if (apiOf(spec) === api) return;
    const detail = `API ${JSON.stringify(api)} has no job ${JSON.stringify(job)}: list its jobs for their ids (millrace list)`;
    throw new Problem("job_not_found", detail);
  };
  const asHosted = async (api: string) => {
    return api === host ? {} : { hosted: { name: api, version: await currentOf(api) } };
  };
  return {
    async submit(api, submission, options) {
      const hosted = await asHosted(api);
      // the same idempotency key at another name is another job
      const principal = api === host ? options.principal : `${options.principal} at ${api}`;
      return jobs.submit(host, submission, { ...options, principal, ...hosted });
    },
    async dryRun(api, submission) {
      await asHosted(api);
      return jobs.dryRun(host, submission, { hosted: api !== host });
    },
    async get(api, job) {
      await mustBeOf(api, job);
      return jobs.get(host, job);
    },
    async list(api, query) {
      if (api === host) return jobs.list(host, query);
      await currentOf(api);
      return jobs.list(host, { ...query, hosted: api });
    },
    async retry(api, job, request, options) {
      await mustBeOf(api, job);
      const hosted = await asHosted(api);
      const principal = api === host ? options.principal : `${options.principal} at ${api}`;
      return jobs.retry(host, job, request, { ...options, principal, ...hosted });
    },
    async stop(api, job) {
      await mustBeOf(api, job);
      return jobs.stop(host, job);
    },
    async *results(api, job, options) {
      await mustBeOf(api, job);
      yield* jobs.results(host, job, options);
    },
    async *errors(api, job, options) {
      await mustBeOf(api, job);
      yield* jobs.errors(host, job, options);
    },
    async logs(api, job, query) {
      await mustBeOf(api, job);
      return jobs.logs(host, job, query);
    },
    async *followLogs(api, job, query, signal) {
      await mustBeOf(api, job);
      yield* jobs.followLogs(host, job, query, signal);
    },
    async *events(api, job, signal) {
      await mustBeOf(api, job);
      yield* jobs.events(host, job, signal);
    },
  };
}

const LOOK_MS = 200;

/** Stops the jobs of one hosted API; resolves when each has its final state. No more of them may be accepted meanwhile. */
export async function stopHostedJobs(jobs: JobService, clock: Clock, host: string, name: string): Promise<void> {
  for (;;) {
    let running = 0;
    for (const state of ["pending", "running", "completing"] as const) {
      const page = await jobs.list(host, { hosted: name, state });
      running += page.jobs.length;
      for (const { spec } of page.jobs) {
        await jobs.stop(host, spec.job).catch((error: unknown) => {
          if (!(error instanceof Problem)) throw error; // it ended by itself meanwhile
        });
      }
    }
    if (running === 0) return;
    await clock.sleep(LOOK_MS);
  }
}
