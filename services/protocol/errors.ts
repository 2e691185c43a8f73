/** What workers write down of failed items, and the error rows that users read: one is expanded into the other. */
import type { ErrorRow } from "./jobs.ts";
import type { BatchPointer } from "./pointers.ts";

/** Characters of a traceback's end that each error row repeats. */
const ROW_TRACEBACK_CHARACTERS = 2_048;

/** One line of a worker's errors part: what befell some items of a batch, or all of them. */
export interface AttemptErrors {
  readonly batch: number;
  readonly attempt: number;
  readonly cause: string;
  /** One sentence. */
  readonly error: string;
  /** The end of it; may be empty. */
  readonly traceback: string;
  /** The failed items: index in the job, and where each lies: an index into `uris`, first byte, byte after the last. */
  readonly items: readonly (readonly [index: number, uri: number, start: number, end: number])[];
  readonly uris: readonly string[];
}

/** `failed`: how many attempts of the batch failed as a whole; the one that told these items apart may not be among them. */
export function errorRows(errors: AttemptErrors, failed: number): ErrorRow[] {
  const { batch, cause, error } = errors;
  const attempts = Math.max(failed, errors.attempt);
  const traceback = errors.traceback.slice(-ROW_TRACEBACK_CHARACTERS);
  return errors.items.map(([index, uri, start, end]) => {
    return { index, batch, attempts, cause, error, traceback, at: { uri: errors.uris[uri] ?? "", start, end } };
  });
}

/** Rows of a batch that no attempt left any record of: every one of its workers died. */
export function diedRows(batch: number, firstItem: number, pointer: BatchPointer, attempts: number): ErrorRow[] {
  const rows: ErrorRow[] = [];
  for (const span of pointer.spans) {
    for (let item = 0; item < span.items; item += 1) {
      rows.push({
        index: firstItem + rows.length,
        batch,
        attempts,
        cause: "worker_died",
        error: "the worker that ran this batch died each time, and this batch was the only one it ran",
        traceback: "",
        at: { uri: span.uri, start: span.start, end: span.end },
      });
    }
  }
  return rows;
}
