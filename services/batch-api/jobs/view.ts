/** A job as anybody may ask for it: the stored state, with what its driver knows (or, where that lives in another process, told last). */
import type { ObjectStore } from "../../backends/object-store.ts";
import {
  JOB_FORMAT,
  type JobCounts,
  type JobSpec,
  type LiveFacts,
  type StateRecord,
  type WorkerCounts,
} from "../../protocol/jobs.ts";
import { isJobId } from "../../protocol/ids.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import { isFinal } from "../../protocol/states.ts";
import type { JobView } from "./job-service.ts";
import { readState } from "./state-record.ts";
import { readObject } from "./stored.ts";
import { waitingMessage } from "./waiting.ts";

export interface ViewDeps {
  readonly store: ObjectStore;
  /** Lanes that this API has. */
  readonly lanes: number;
  /** What a driver in this process knows of a job; undefined: none here drives it. */
  readonly live: (api: string, job: string) => LiveFacts | undefined;
}

const NO_COUNTS: JobCounts = {
  batches: 0,
  items: 0,
  complete: false,
  batches_succeeded: 0,
  batches_failed: 0,
  items_succeeded: 0,
  items_failed: 0,
  attempts_failed: 0,
  handler_seconds: 0,
};

const NO_WORKERS: WorkerCounts = { asked: 0, pending: 0, starting: 0, ready: 0, lost: 0 };

/** Throws `Problem` (job_not_found), also when the job is another API's. */
export async function readSpec(store: ObjectStore, api: string, job: string): Promise<JobSpec> {
  const spec = isJobId(job) ? await readObject<JobSpec>(store, jobKeys(api, job).spec, JOB_FORMAT) : undefined;
  if (spec === undefined) {
    throw new Problem(
      "job_not_found",
      `API ${JSON.stringify(api)} has no job ${JSON.stringify(job.slice(0, 64))}: list its jobs for their ids (millrace list)`,
    );
  }
  return spec;
}

/** Throws `Problem` (job_not_found). */
export async function viewJob(deps: ViewDeps, api: string, job: string): Promise<JobView> {
  const spec = await readSpec(deps.store, api, job);
  const { state } = await readState(deps.store, api, job);
  const live = isFinal(state.state) ? undefined : (deps.live(api, job) ?? state.live ?? undefined);
  const counts = live?.counts ?? state.counts ?? NO_COUNTS;
  const settled = counts.batches_succeeded + counts.batches_failed;
  return {
    spec,
    state: state.state,
    splitting: live?.splitting ?? (state.state === "running" && !counts.complete),
    cause: state.cause,
    message: await messageOf(deps, spec, state, live),
    counts,
    batches_running: live?.batches_running ?? 0,
    batches_waiting: live?.batches_waiting ?? (isFinal(state.state) ? 0 : Math.max(0, counts.batches - settled)),
    workers: live?.workers ?? { ...NO_WORKERS, asked: state.state === "running" ? spec.workers : 0 },
    items_per_second: live?.items_per_second ?? 0,
    estimated_seconds_left: live?.estimated_seconds_left ?? null,
    at: { ...state.at, pending: spec.accepted_at },
  };
}

async function messageOf(
  deps: ViewDeps,
  spec: JobSpec,
  state: StateRecord,
  live: LiveFacts | undefined,
): Promise<string> {
  if (isFinal(state.state)) return state.message === "" ? endMessage(state) : state.message;
  if ((await deps.store.size(jobKeys(spec.api, spec.job).stop)) !== undefined) {
    return "A stop was asked for; the job ends as soon as its workers have let go.";
  }
  if (live !== undefined && live.message !== "") return live.message;
  if (state.state === "pending" && state.message === "") return waitingMessage(deps.store, deps.lanes, spec);
  return state.message;
}

function endMessage(state: StateRecord): string {
  const failed = state.counts?.items_failed ?? 0;
  if (state.cause?.kind === "failed") return state.cause.message;
  if (state.state === "succeeded") return "Every item succeeded.";
  if (state.state === "completed_with_failures") {
    return `${String(failed)} ${failed === 1 ? "item" : "items"} failed: millrace results --failed says which and why.`;
  }
  if (state.state === "stopped") return "Stopped as asked; what was settled before is kept.";
  if (state.state === "timed_out") return "The job's timeout passed; what was settled before is kept.";
  return "";
}
