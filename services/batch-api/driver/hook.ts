import { jobKeys, queueLane } from "../../protocol/keys.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { CompletionRecord, JobSpec } from "../../protocol/jobs.ts";
import { readRecord } from "../jobs/stored.ts";
import type { RunningJob } from "./running-job.ts";

type Ended = Extract<CompletionRecord, { state: "done" | "failed" | "closed" }>;
/** Without `writes`, which each swap counts. */
type Fate = CompletionRecord extends infer R ? (R extends CompletionRecord ? Omit<R, "writes"> : never) : never;

/** Closes the hook's record of a job that ends without it; answers what it ended as: done may have come before. */
export async function closeCompletion(
  store: ObjectStore,
  spec: JobSpec,
  cause: "stopped" | "timed_out" | "failed",
): Promise<Ended> {
  for (;;) {
    const stored = await readCompletion(store, spec);
    const { record } = stored;
    if (record !== undefined && record.state !== "open" && record.state !== "claimed") return record;
    const closed = await swapCompletion(store, spec, stored, { opening: record?.opening ?? 1, state: "closed", cause });
    if (closed !== undefined) return closed;
  }
}

interface StoredCompletion {
  readonly record: CompletionRecord | undefined;
  readonly version: string | undefined;
}

/** What the driver knows when it looks at the hook. */
export interface HookFacts {
  /** A stop or a timeout that was asked for, or the judgement that no worker can run it. */
  readonly closeFor: "stopped" | "timed_out" | "failed" | undefined;
  readonly isFresh: (worker: string) => boolean;
}

/**
 * Moves `completion.json` one step; answers the record once it has ended. Every move is compare-and-swap: a lost one is
 * looked at again at the next step.
 */
export class CompletionHook {
  readonly #job: RunningJob;
  #ticketAtMs = -Infinity;
  #ticketOpening = 0;

  constructor(job: RunningJob) {
    this.#job = job;
  }

  async step(facts: HookFacts): Promise<Ended | undefined> {
    const { store } = this.#job.deps;
    const { spec } = this.#job;
    const swap = (next: Fate) => swapCompletion(store, spec, stored, next);
    const stored = await readCompletion(store, spec);
    const { record } = stored;
    if (record !== undefined && record.state !== "open" && record.state !== "claimed") return record;
    const opening = record?.opening ?? 1;
    if (facts.closeFor !== undefined) return swap({ opening, state: "closed", cause: facts.closeFor });
    if (record?.state === "claimed") {
      if (facts.isFresh(record.worker)) return undefined;
      await swap({ opening: opening + 1, state: "open" });
      return undefined;
    }
    if (this.#hasNoHook()) return swap({ opening, state: "done", worker: null });
    if (record === undefined) await swap({ opening, state: "open" });
    await this.#sendTicket(opening);
    return undefined;
  }

  #hasNoHook(): boolean {
    return [...this.#job.ledgers.workers.values()].some((worker) => worker.hook === false);
  }

  async #sendTicket(opening: number): Promise<void> {
    const { deps, spec, lease } = this.#job;
    const nowMs = deps.clock.monotonicMs();
    if (this.#ticketOpening === opening && nowMs - this.#ticketAtMs < this.#job.leaseMs) return;
    const { epoch } = lease.record;
    await deps.queue.send(queueLane(spec.api, lease.lane), [
      { kind: "completion", format: 1, job: spec.job, epoch, opening },
    ]);
    this.#ticketAtMs = nowMs;
    this.#ticketOpening = opening;
  }
}

async function readCompletion(store: ObjectStore, spec: JobSpec): Promise<StoredCompletion> {
  const found = await readRecord<CompletionRecord>(store, jobKeys(spec.api, spec.job).completion);
  return { record: found?.value, version: found?.version };
}

/** One try; answers the record when it is an end and was written. */
async function swapCompletion(
  store: ObjectStore,
  spec: JobSpec,
  stored: StoredCompletion,
  next: Fate,
): Promise<Ended | undefined> {
  const record = { ...next, writes: (stored.record?.writes ?? 0) + 1 } as CompletionRecord;
  const key = jobKeys(spec.api, spec.job).completion;
  const version = await store.swap(key, Buffer.from(JSON.stringify(record)), stored.version);
  if (version === undefined || record.state === "open" || record.state === "claimed") return undefined;
  return record;
}
