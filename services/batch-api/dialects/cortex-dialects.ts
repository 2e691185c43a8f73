/** How the versions of Cortex spelled what they answered (contract B.3 to B.6): another version is another row. */
import type { JobState } from "../../protocol/states.ts";

export interface CortexDialect {
  /** Before each status: `status_` up to 0.34. */
  readonly statusPrefix: string;
  /** What an accepted job that waits is called; `pending` is a word since 0.35. */
  readonly pending: "pending" | "enqueuing";
  /** Where `succeeded`, `failed` and the average stand. */
  readonly metricsIn: "metrics" | "job_status.batch_metrics";
  /** Up to 0.20 a job's address ended in `/<id>`. */
  readonly endpoint: "query" | "path";
  /** Names of our worker counts, and whether those at 0 are left out. */
  readonly workers: {
    readonly pending: string;
    readonly starting: string;
    readonly ready: string;
    readonly lost: string;
  };
  readonly zeroWorkersShown: boolean;
  /** Further fields of the job's spec. */
  readonly specFields: readonly ("kind" | "spec_id" | "predictor_id" | "handler_id" | "total_batch_count")[];
  /** Kinds of errors that had another name, by their name in 0.42. */
  readonly kinds: Readonly<Record<string, string>>;
  /** Whether a stop of a job that ended some seconds ago was still well received. */
  readonly stopOfEnded: "well_received" | "refused";
}

const NEW_WORKERS = { pending: "pending", starting: "not_ready", ready: "ready", lost: "failed" };
const OLD_WORKERS = { pending: "pending", starting: "initializing", ready: "running", lost: "failed" };
const BATCHAPI_KINDS = {
  "job.specify_exactly_one_key": "batchapi.specify_exactly_one_key",
  "job.conflicting_fields": "batchapi.conflicting_fields",
  "job.not_found": "batchapi.job_not_found",
  "job.job_is_not_in_progress": "batchapi.job_is_not_in_progress",
};

const V42: CortexDialect = {
  statusPrefix: "",
  pending: "pending",
  metricsIn: "metrics",
  endpoint: "query",
  workers: NEW_WORKERS,
  zeroWorkersShown: false,
  specFields: ["kind"],
  kinds: { "job.job_is_not_in_progress": "error" },
  stopOfEnded: "well_received",
};

const V38: CortexDialect = { ...V42, metricsIn: "job_status.batch_metrics", workers: OLD_WORKERS };

const V34: CortexDialect = {
  ...V38,
  statusPrefix: "status_",
  pending: "enqueuing",
  zeroWorkersShown: true,
  specFields: ["kind", "spec_id", "handler_id", "total_batch_count"],
  kinds: {},
  stopOfEnded: "refused",
};

const V33: CortexDialect = { ...V34, specFields: ["kind", "spec_id", "predictor_id", "total_batch_count"] };
const V26: CortexDialect = {
  ...V33,
  specFields: ["spec_id", "predictor_id", "total_batch_count"],
  kinds: BATCHAPI_KINDS,
};
const V20: CortexDialect = { ...V26, endpoint: "path" };

export const CORTEX_DIALECT_DEFAULT = "0.42";

/** Newest version that speaks so, by row. */
const DIALECTS: readonly (readonly [minor: number, dialect: CortexDialect])[] = [
  [20, V20],
  [26, V26],
  [33, V33],
  [34, V34],
  [38, V38],
  [42, V42],
];

/** The dialect of a version such as "0.28"; of one that is not known, the newest. */
export function cortexDialect(version: string): CortexDialect {
  const minor = Number(/^0\.(\d+)(\.\d+)?$/.exec(version)?.[1] ?? 42);
  return DIALECTS.find(([newest]) => minor <= newest)?.[1] ?? V42;
}

/** Our states in Cortex's words, without prefix. A failed job is spelled by its reason. */
export const STATUS_OF_STATE = {
  pending: "pending",
  running: "running",
  completing: "running",
  succeeded: "succeeded",
  completed_with_failures: "completed_with_failures",
  failed: "unexpected_error",
  stopped: "stopped",
  timed_out: "timed_out",
} as const satisfies Record<JobState, string>;

export const STATUS_OF_REASON = {
  split_failed: "enqueue_failed",
  worker_error: "worker_error",
  worker_out_of_memory: "worker_oom",
  completion_failed: "worker_error",
  store_damaged: "unexpected_error",
  internal: "unexpected_error",
} as const;
