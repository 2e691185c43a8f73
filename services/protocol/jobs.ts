/** What is stored of a job, in the order in which it comes to be. */
import type { ApiSpec } from "./api-spec.ts";
import type { EndCause, JobState } from "./states.ts";

export const JOB_FORMAT = 1;

/** Where items come from, as stored. Exactly one kind. */
export type JobInput = SubmittedInput | RetryInput;

export type SubmittedInput =
  | { readonly kind: "item_list"; readonly batch_size: number; readonly items: number; readonly bytes: number }
  | {
      readonly kind: "file_path_lister" | "delimited_files";
      readonly batch_size: number;
      readonly paths: readonly string[];
      readonly includes: readonly string[];
      readonly excludes: readonly string[];
    };

/** Items of another job, by pointer: those that failed, or also those that no attempt settled. */
export interface RetryInput {
  readonly kind: "retry";
  readonly batch_size: number;
  /** The ended job that they come from. */
  readonly retry_of: string;
  /** The job that the family began with, which is no retry; every item of the family has its index in it. */
  readonly root: string;
  readonly retried: RetriedItems;
  /** Whether the input goes on behind the batches that were cut when the job was ended early. */
  readonly remaining: boolean;
}

export const RETRIED_ITEMS = ["failed", "failed_and_skipped"] as const;
export type RetriedItems = (typeof RETRIED_ITEMS)[number];

/** `spec.json`: the job as accepted, bound to a version of its API. */
export interface JobSpec {
  readonly format: typeof JOB_FORMAT;
  readonly job: string;
  readonly api: string;
  /** The API that it was submitted to, where `api` hosts that one: keys, rights and lanes are the host's. */
  readonly hosted?: string;
  /** The version of the API that it runs and ends on. */
  readonly version: string;
  /** 128 random bits, hex: tells the submissions that race for one idempotency key apart. */
  readonly submission: string;
  /** Unix milliseconds by the store's clock. */
  readonly accepted_at: number;
  readonly workers: number;
  readonly config: Readonly<Record<string, unknown>>;
  readonly timeout_seconds: number | null;
  readonly input: JobInput;
  readonly attempts: number;
  readonly isolate: boolean;
  readonly batch_timeout_seconds: number | null;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly dead_letter_queue: { readonly arn: string; readonly max_receive_count: number } | null;
  /** What the submission said that we ignored, in sentences. */
  readonly warnings: readonly string[];
}

/** The jobs whose objects this one's workers and splitter read, its root last: they stay as long as it does. */
export function parentsOf({ input }: Pick<JobSpec, "input">): readonly string[] {
  if (input.kind !== "retry") return [];
  return input.retry_of === input.root ? [input.root] : [input.retry_of, input.root];
}

/** The job that a family began with: of a job that is no retry, itself. */
export function rootOf({ job, input }: Pick<JobSpec, "job" | "input">): string {
  return input.kind === "retry" ? input.root : job;
}

/** Whether a batch whose last attempt fails is taken apart until its bad items stand alone. */
export function isolates(spec: Pick<JobSpec, "isolate" | "dead_letter_queue">): boolean {
  return spec.isolate && spec.dead_letter_queue === null;
}

export interface JobCounts {
  readonly batches: number;
  readonly items: number;
  /** False while the split runs: totals so far. */
  readonly complete: boolean;
  readonly batches_succeeded: number;
  /** Settled with at least one failed item, or none succeeded. */
  readonly batches_failed: number;
  readonly items_succeeded: number;
  readonly items_failed: number;
  /** Attempts that failed, whatever became of their batch. */
  readonly attempts_failed: number;
  /** Seconds of handlers over all counted attempts that succeeded. */
  readonly handler_seconds: number;
}

/** Workers of a running job by how they are. */
export interface WorkerCounts {
  readonly asked: number;
  readonly pending: number;
  readonly starting: number;
  readonly ready: number;
  readonly lost: number;
  /** Stood down, because they failed what others did well; absent in older records. */
  readonly sick?: number;
}

/** What a job's driver knows of it while it runs. */
export interface LiveFacts {
  readonly counts: JobCounts;
  /** True while the split runs. */
  readonly splitting: boolean;
  /** Batches that are out with a worker, and those that wait. */
  readonly batches_running: number;
  readonly batches_waiting: number;
  readonly workers: WorkerCounts;
  /** Items settled per second over the last 10 seconds. */
  readonly items_per_second: number;
  /** Seconds; null while unknown. */
  readonly estimated_seconds_left: number | null;
  /** In words: why it waits and what to do; empty: nothing to say. */
  readonly message: string;
  /** What people should know beside that, in sentences, such as that a worker stood down; absent: nothing. */
  readonly warnings?: readonly string[];
}

/** `state.json`: compare-and-swapped; each write names the lane, epoch and term of its writer. */
export interface StateRecord {
  readonly format: typeof JOB_FORMAT;
  readonly state: JobState;
  /** What ended the work; set by the move to completing. */
  readonly cause: EndCause | null;
  readonly lane: { readonly lane: number; readonly epoch: number; readonly term: number } | null;
  /** Batches [0, n) were sent in `lane.epoch`. */
  readonly sent_through: number;
  readonly counts: JobCounts | null;
  /** In words, why it waits or how it ended. */
  readonly message: string;
  /** Of a final job: as `LiveFacts.warnings` were at its end. */
  readonly warnings?: readonly string[];
  /** What its driver knew of it last, for those who do not drive it; null or absent: no driver has told, or it is final. */
  readonly live?: LiveFacts | null;
  /** Unix milliseconds by the store's clock of each state's first entry. */
  readonly at: Readonly<Partial<Record<JobState, number>>>;
  readonly writes: number;
}

/** `completion.json`. */
export type CompletionRecord = {
  /** Counts the openings. */
  readonly opening: number;
  readonly writes: number;
} & (
  | { readonly state: "open" }
  | { readonly state: "claimed"; readonly worker: string }
  | { readonly state: "done"; readonly worker: string | null }
  | { readonly state: "failed"; readonly worker: string; readonly error: string; readonly traceback: string }
  | { readonly state: "closed"; readonly cause: "stopped" | "timed_out" | "failed" }
);

/** `cut.json`: the bytes of each ledger and verdict object that count. Everything final is a function of it. */
export interface Cut {
  readonly format: typeof JOB_FORMAT;
  readonly ledgers: Readonly<Record<string, number>>;
  readonly verdicts: Readonly<Record<string, number>>;
}

/** `dead-letters.json`: how far the failed batches are on their way to the job's dead-letter queue. */
export interface DeadLettersRecord {
  /** Batches below this one have had their turn. */
  readonly through: number;
  readonly sent: number;
  readonly unsent: number;
  /** Why the first one was not sent; empty: none was left out. */
  readonly cause: string;
  readonly ended: boolean;
  readonly writes: number;
}

/** `versions/<version>.json`. */
export interface ApiVersion {
  readonly format: typeof JOB_FORMAT;
  readonly api: string;
  readonly version: string;
  readonly spec: ApiSpec;
  /** sha256 of the project archive. */
  readonly project: string;
  /** Key of its environment under `environments/`; null when it needs none. */
  readonly environment: string | null;
  /** Ledger and message format that its worker speaks. */
  readonly worker_format: number;
  /** Unix milliseconds by the store's clock; null: a stack wrote it, which reads no clock. */
  readonly created_at: number | null;
  /** What its worker pods are made from; absent where workers are no pods. */
  readonly pod_template?: PodTemplate;
}

/** A Kubernetes PodTemplateSpec, as the API server gave it or a stack rendered it. */
export type PodTemplate = Readonly<Record<string, unknown>>;

/** `hosted.json`: further APIs under one API's keys. */
export interface HostedApis {
  /** By name: the version that new jobs get. */
  readonly apis: Readonly<Record<string, CurrentVersion>>;
  readonly writes: number;
}

/** The API that people know a job by. */
export function apiOf({ api, hosted }: Pick<JobSpec, "api" | "hosted">): string {
  return hosted ?? api;
}

/** `current.json`. */
export interface CurrentVersion {
  readonly version: string;
  /** Rises with each deployment; 0: a stack wrote it. */
  readonly generation: number;
  /** The pod template that the version was made with; absent where workers are no pods, and where a stack wrote it. */
  readonly template?: TemplateAge;
}

/** Tells of two readings of the declared pod template which is the newer one: the later object, then its higher generation. */
export interface TemplateAge {
  /** Unix milliseconds: when the API server made the object. */
  readonly made_at: number;
  /** The API server counts the object's templates by it, from 1. */
  readonly generation: number;
}

/** `index/<split>`: for each batch of the split, in order, where its rows are; null: no managed rows. */
export interface SplitIndex {
  readonly split: number;
  readonly batches: readonly (readonly [part: number, start: number, end: number, rows: number] | null)[];
}

export interface ManifestPart {
  readonly key: string;
  readonly bytes: number;
  readonly rows: number;
  readonly sha256: string;
}

/** `manifest.json`: the proof. */
export interface Manifest {
  readonly format: typeof JOB_FORMAT;
  readonly job: string;
  readonly api: string;
  readonly version: string;
  readonly counts: JobCounts;
  readonly skipped: { readonly batches: number; readonly items: number; readonly input_remaining: boolean };
  readonly results: readonly ManifestPart[];
  readonly errors: readonly ManifestPart[];
  readonly splits: number;
}

/** One line of the managed results. */
export interface ResultRow {
  readonly index: number;
  readonly result: unknown;
}

/** One line of the errors. */
export interface ErrorRow {
  /** Index in the job of the failed item; for a failed batch one line per item. */
  readonly index: number;
  readonly batch: number;
  readonly attempts: number;
  /** raised, exited, killed, out_of_memory, timed_out, bad_answer, bad_item, input_changed, worker_died, ... */
  readonly cause: string;
  readonly error: string;
  readonly traceback: string;
  /** Where the item lies. */
  readonly at: { readonly uri: string; readonly start: number; readonly end: number };
}
