/** A job whose spec or state cannot be read, as far as it is known. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { jobStartedAt } from "../../protocol/ids.ts";
import {
  JOB_FORMAT,
  type JobCounts,
  type JobSpec,
  type LiveFacts,
  type StateRecord,
  type WorkerCounts,
} from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { FINAL_STATES, type FinalState } from "../../protocol/states.ts";
import { UnreadableObject } from "../../protocol/stored.ts";
import type { JobView } from "./job-service.ts";
import { readState } from "./state-record.ts";
import { readObject } from "./stored.ts";

export const NO_COUNTS: JobCounts = {
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

export const NO_WORKERS: WorkerCounts = { asked: 0, pending: 0, starting: 0, ready: 0, lost: 0 };

interface Known {
  readonly store: ObjectStore;
  /** What a driver in this process knows of a job; undefined: none here drives it. */
  readonly live: (api: string, job: string) => LiveFacts | undefined;
}

/** Its message is what is damaged, and what to do. */
export async function damagedView(
  { store, live }: Known,
  api: string,
  job: string,
  damage: UnreadableObject,
): Promise<JobView> {
  const spec = await orNone(readObject<JobSpec>(store, jobKeys(api, job).spec, JOB_FORMAT));
  const state = (await orNone(readState(store, api, job)))?.state;
  const facts = live(api, job);
  const ended = await endedState(store, api, job);
  const acceptedAt = spec?.accepted_at ?? jobStartedAt(job) ?? 0;
  return {
    spec: spec ?? unknownSpec(api, job, acceptedAt),
    state: ended ?? (facts === undefined ? (state?.state ?? "pending") : "running"),
    splitting: facts?.splitting ?? false,
    cause: state?.cause ?? null,
    counts: facts?.counts ?? state?.counts ?? NO_COUNTS,
    batches_running: facts?.batches_running ?? 0,
    batches_waiting: facts?.batches_waiting ?? 0,
    workers: facts?.workers ?? NO_WORKERS,
    items_per_second: facts?.items_per_second ?? 0,
    estimated_seconds_left: null,
    message: messageOf(state, damage),
    at: { ...state?.at, pending: acceptedAt },
  };
}

/** A job that was ended for its damage says so itself. */
function messageOf(state: StateRecord | undefined, damage: UnreadableObject): string {
  return state?.cause?.kind === "failed" && state.cause.reason === "store_damaged"
    ? state.cause.message
    : `${damage.message}.`;
}

/** The state that a job has ended in, by its marker. */
export async function endedState(store: ObjectStore, api: string, job: string): Promise<FinalState | undefined> {
  for (const state of FINAL_STATES) {
    if ((await store.size(apiKeys(api).endedJob(state, job))) !== undefined) return state;
  }
  return undefined;
}

async function orNone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof UnreadableObject) return undefined; // it is what the message tells of
    throw error;
  }
}

function unknownSpec(api: string, job: string, acceptedAt: number): JobSpec {
  return {
    ...{ format: JOB_FORMAT, job, api, version: "", submission: "", accepted_at: acceptedAt, workers: 0, config: {} },
    timeout_seconds: null,
    input: { kind: "item_list", batch_size: 1, items: 0, bytes: 0 },
    ...{ attempts: 1, isolate: false, batch_timeout_seconds: null, priority: 0, labels: {}, dead_letter_queue: null },
    warnings: [],
  };
}
