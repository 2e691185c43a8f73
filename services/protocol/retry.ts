/** A retry as asked for; what it leaves out is as the job had it. The parser stands in `retry.parse.ts`. */
import type { RetriedItems } from "./jobs.ts";

/** `newest`: the version that new jobs get; `same`: the one that the job ran. */
export const RETRY_VERSIONS = ["newest", "same"] as const;
type RetryVersion = (typeof RETRY_VERSIONS)[number];

export interface RetryRequest {
  readonly items: RetriedItems;
  readonly version: RetryVersion;
  readonly workers?: number;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly timeoutSeconds?: number | null;
  readonly batchSize?: number;
  readonly attempts?: number;
  readonly isolate?: boolean;
  readonly batchTimeoutSeconds?: number | null;
  readonly priority?: number;
  readonly labels?: Readonly<Record<string, string>>;
}
