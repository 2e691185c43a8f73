/** A job as anybody may ask for it: the stored state, with what its driver knows (or, where that lives in another process, told last). */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type JobSpec, type LiveFacts, type StateRecord } from "../../protocol/jobs.ts";
import { apiNameFault } from "../../protocol/api-names.ts";
import { isJobId } from "../../protocol/ids.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import { isFinal } from "../../protocol/states.ts";
import { DamagedObject, UnreadableObject } from "../../protocol/stored.ts";
import { damagedView, endedState, NO_COUNTS, NO_WORKERS } from "./damaged-view.ts";
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

/** Throws `Problem` (job_not_found), also when the job is another API's. */
export async function readSpec(store: ObjectStore, api: string, job: string): Promise<JobSpec> {
  const isAddress = isJobId(job) && apiNameFault(api) === undefined;
  const spec = isAddress ? await readObject<JobSpec>(store, jobKeys(api, job).spec, JOB_FORMAT) : undefined;
  if (spec === undefined) {
    if (isAddress && (await isKnown(store, api, job))) throw new DamagedObject(jobKeys(api, job).spec, "is gone");
    throw new Problem(
      "job_not_found",
      `API ${JSON.stringify(api)} has no job ${JSON.stringify(job.slice(0, 64))}: list its jobs for their ids (millrace list)`,
    );
  }
  return spec;
}

/** Acceptance writes the spec before the marker, and a driver comes later still. */
async function isKnown(store: ObjectStore, api: string, job: string): Promise<boolean> {
  if ((await store.size(apiKeys(api).activeJob(job))) !== undefined) return true;
  return (await store.read(jobKeys(api, job).state)) !== undefined;
}

/** Throws `Problem` (job_not_found). A job whose own objects cannot be read is shown with what is known, and says so. */
export async function viewJob(deps: ViewDeps, api: string, job: string): Promise<JobView> {
  try {
    return await viewReadable(deps, api, job);
  } catch (error) {
    if (!(error instanceof UnreadableObject)) throw error;
    return damagedView(deps, api, job, error);
  }
}

async function viewReadable(deps: ViewDeps, api: string, job: string): Promise<JobView> {
  const spec = await readSpec(deps.store, api, job);
  const { state } = await readState(deps.store, api, job);
  if (state.state === "pending") await mustBeActive(deps, api, job);
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
    warnings: live?.warnings ?? state.warnings ?? [],
    at: { ...state.at, pending: spec.accepted_at },
  };
}

/** What waits without a marker waits for ever; what has ended without a state is not pending. */
async function mustBeActive({ store, live }: ViewDeps, api: string, job: string): Promise<void> {
  const marker = apiKeys(api).activeJob(job);
  if (live(api, job) !== undefined || (await store.size(marker)) !== undefined) return;
  const { state, version } = await readState(store, api, job); // it may have run and ended between the two looks
  if (state.state !== "pending") return;
  if (version === undefined && (await endedState(store, api, job)) !== undefined) {
    throw new DamagedObject(jobKeys(api, job).state, "is gone");
  }
  throw new DamagedObject(marker, "is gone");
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
