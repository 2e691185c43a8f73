import type { BatchQueue } from "../../backends/batch-queue.ts";
import type { Clock } from "../../backends/clock.ts";
import type { Dataset } from "../../backends/dataset.ts";
import type { DeadLetterQueues } from "../../backends/dead-letters.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { WorkerPool } from "../../backends/worker-pool.ts";
import type { JobSpec } from "../../protocol/jobs.ts";

/** The data cannot be split; the sentence is the job's. */
export class Unsplittable extends Error {
  override readonly name = "Unsplittable";
}

/** The part of a splitter that a driver drives. */
export interface SplitSource {
  /**
   * Writes at most one split file, or the end. Throws `Unsplittable`; after any other error nothing is known of it, and
   * another one goes on from what is stored.
   */
  step(): Promise<"more" | "end">;
  /** Ends the split where it stands: totals are those known. */
  endEarly(): Promise<void>;
}

/** Whether workers of a version may start; `why` is a sentence for its jobs. */
export type CodeReadiness =
  | { readonly kind: "ready" }
  | { readonly kind: "waits"; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

/** Where dead letters go to, and where their payloads lie. */
export interface DeadLetterDeps {
  readonly queues: DeadLetterQueues;
  readonly dataset: Dataset;
}

/** What every driver of a replica is given. */
export interface DriverDeps {
  readonly store: ObjectStore;
  readonly queue: BatchQueue;
  readonly pool: WorkerPool;
  readonly clock: Clock;
  /** Whether workers of a version may start, asked until they may; absent: always. */
  readonly readiness?: (api: string, version: string) => Promise<CodeReadiness>;
  readonly splitterFor: (spec: JobSpec) => SplitSource;
  /** Absent: this service sends no dead letters. */
  readonly deadLetters?: DeadLetterDeps;
  /** Told to people who follow the job's logs; never a payload. */
  readonly say: (spec: JobSpec, sentence: string) => void;
  /** For whoever runs the service. */
  readonly log: DriverLog;
  /** Longest pause between two looks, milliseconds: 1,000 in the cloud, 100 on a laptop. */
  readonly tickMs: number;
  /** Shortest pause between two looks, however often it is woken. */
  readonly tickMinMs: number;
  /**
   * How long a loop may take for one step before the process ends for another replica's sake, milliseconds; default a
   * lease. Longer where there is no other one: a slow source is no reason to end the only service.
   */
  readonly stallMs?: number;
  /**
   * Shortest time between two writes of what the driver knows into the job's state, milliseconds, so that every replica can
   * answer for the job. Absent where there is only one.
   */
  readonly tellMs?: number;
}

export interface DriverLog {
  info(fields: Readonly<Record<string, unknown>>, sentence: string): void;
  warn(fields: Readonly<Record<string, unknown>>, sentence: string): void;
}
