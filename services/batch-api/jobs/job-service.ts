/**
 * What the doors (REST, Cortex, CLI) can ask of jobs. Doors translate, this decides. Any replica can answer any call.
 */
import type { ErrorRow, JobSpec, LiveFacts } from "../../protocol/jobs.ts";
import type { LogLine, LogPage, LogQuery } from "../../backends/log-store.ts";
import type { RetryRequest } from "../../protocol/retry.ts";
import type { EndCause, JobState } from "../../protocol/states.ts";
import type { Submission } from "../../protocol/submission.ts";

export interface SubmitOptions {
  /** The `Idempotency-Key` header; the same key and body give the same job, another body is a Problem. */
  readonly idempotencyKey?: string;
  /** Who asks; part of the idempotency key's scope. */
  readonly principal: string;
  /** The API that is meant, where the one of the call hosts it, and the version that its new jobs get. */
  readonly hosted?: { readonly name: string; readonly version: string };
  /** Sentences about what the submission said that a lenient door ignored. */
  readonly warnings?: readonly string[];
}

export interface DryRun {
  /** URIs that would be read, in input order, at most 10,000 of them; empty for item_list. */
  readonly uris: readonly string[];
  readonly objects: number;
}

/** A job as anybody may ask for it at any time. */
export interface JobView extends LiveFacts {
  readonly spec: JobSpec;
  readonly state: JobState;
  readonly cause: EndCause | null;
  /** Unix milliseconds of each state's first entry. */
  readonly at: Readonly<Partial<Record<JobState, number>>>;
}

export interface JobList {
  readonly jobs: readonly JobView[];
  readonly next?: string;
}

interface RowsAsked {
  readonly follow: boolean;
  readonly family?: boolean;
  readonly signal: AbortSignal;
}

export interface JobService {
  /** Validates, stages inline items, writes the job and answers it. Throws `Problem`. */
  submit(api: string, submission: Submission, options: SubmitOptions): Promise<JobView>;
  /** `hosted`: for an API that the one of the call hosts, which was looked up. */
  dryRun(api: string, submission: Submission, options?: { readonly hosted: boolean }): Promise<DryRun>;
  /** Throws `Problem` (job_not_found) also when the job belongs to another API. */
  get(api: string, job: string): Promise<JobView>;
  list(
    api: string,
    query: {
      readonly state?: JobState;
      readonly limit?: number;
      readonly cursor?: string;
      /** Of this API alone, which the one of the call hosts; default: of itself. */
      readonly hosted?: string;
    },
  ): Promise<JobList>;
  /** A new job of items of an ended one. Throws `Problem`. */
  retry(api: string, job: string, request: RetryRequest, options: SubmitOptions): Promise<JobView>;
  /** Asks for the stop; returns when that is durable. Throws a Problem for a job that is final. */
  stop(api: string, job: string): Promise<JobView>;
  /**
   * NDJSON bytes of managed results in input order. While the job runs: of the settled prefix; `follow` goes on to the end.
   * `family`: of the job, all that it retries and all its retries that have ended, as one (`family.ts`).
   */
  results(api: string, job: string, options: RowsAsked): AsyncIterable<Buffer>;
  /** Failed items, in input order. */
  errors(api: string, job: string, options: RowsAsked): AsyncIterable<ErrorRow>;
  logs(api: string, job: string, query: LogQuery): Promise<LogPage>;
  /** Goes on until the job is final and all was read. */
  followLogs(api: string, job: string, query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>;
  /** A view at once, then at each change (at most every 100 ms), ending with the final one. */
  events(api: string, job: string, signal: AbortSignal): AsyncIterable<JobView>;
}
