import type { S3Request } from "./s3-requests.ts";

/** Counts requests as they went over the wire, retries and refusals included: what they cost is computed from it. */
export class RequestCounts {
  puts = 0;
  gets = 0;
  heads = 0;
  lists = 0;
  deletes = 0;
  /** Requests that had no answer, or a status of 500 and above; they are in the counts above too. */
  failed = 0;
  sentBytes = 0;
  receivedBytes = 0;

  /** To be given as `onRequest`. */
  readonly note = ({ kind, status, sentBytes, receivedBytes }: S3Request): void => {
    this[`${kind}s`] += 1;
    this.sentBytes += sentBytes;
    this.receivedBytes += receivedBytes;
    if (status === undefined || status >= 500) this.failed += 1;
  };
}
