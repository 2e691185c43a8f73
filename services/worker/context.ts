import type { BatchQueue } from "../backends/batch-queue.ts";
import type { Clock, Random } from "../backends/clock.ts";
import type { MemoryGauge } from "../backends/memory-gauge.ts";
import type { Dataset } from "../backends/dataset.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import type { JobSpec } from "../protocol/jobs.ts";
import type { Handler, Ready } from "./handlers/handler.ts";

/** Which worker this is. */
export interface WorkerIdentity {
  readonly api: string;
  readonly job: string;
  readonly lane: number;
  /** What the queue calls that lane. */
  readonly queueLane: string;
  readonly epoch: number;
  readonly generation: number;
  readonly index: number;
  /** `<epoch>-<generation>-<index>-<random>`, as in its ledger keys. */
  readonly name: string;
}

/** How a worker paces itself; the two worlds differ in these numbers only. */
export interface WorkerPace {
  /** A long poll's wait, seconds. Never abandoned, so that it bounds how soon a worker leaves. */
  readonly pollSeconds: number;
  /** How old its last read of the lane record may get, seconds; at most a third of a lease. */
  readonly laneReadSeconds: number;
  /** Shortest time between two flushes of ledger and results, seconds. */
  readonly flushSeconds: number;
  /** What each worker of the job adds to it, seconds: where a flush is a paid request, many workers flush less often. */
  readonly flushSecondsPerWorker: number;
  /** How long a drained worker goes on with what the handler has begun, seconds. */
  readonly drainSeconds: number;
  /** How often running batches are looked at for their timeout, seconds; default 0.1. */
  readonly lookSeconds?: number;
}

/** Starts the handler process of an index; `start` has been answered when it resolves. Throws `HandlerStartFailed`. */
export type StartHandler = (processIndex: number) => Promise<{ readonly handler: Handler; readonly ready: Ready }>;

export interface WorkerDeps {
  readonly identity: WorkerIdentity;
  readonly spec: JobSpec;
  /** Handler processes, >= 1. */
  readonly processes: number;
  readonly store: ObjectStore;
  readonly queue: BatchQueue;
  readonly dataset: Dataset;
  readonly clock: Clock;
  readonly random: Random;
  readonly pace: WorkerPace;
  /** Undefined: what its handlers use is nobody's limit but the machine's. */
  readonly memory?: MemoryGauge | undefined;
  readonly startHandler: StartHandler;
  /** Lines of the worker itself for the job's log. */
  readonly say: (text: string, batch?: number) => void;
}
