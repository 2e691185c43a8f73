/**
 * Batches are pointers into data that does not change: staged input in the store, or the user's own objects. A pointer
 * never holds a payload.
 */

/**
 * How items lie in a source's bytes:
 * - `lines`: one JSON value a line (LF or CRLF; blank lines do not count);
 * - `array`: elements of one top-level JSON array; a span starts at its first element's first byte and ends after its
 *   last element's last byte, so that `[` + span + `]` is JSON;
 * - `concatenated`: JSON values one after the other, pretty-printed or not, separated by white space or nothing.
 */
export type ItemFormat = "lines" | "array" | "concatenated";

/** Where bytes lie. `store:<key>` is an object of the store; `file://` and `s3://` are the user's. */
export interface Source {
  readonly uri: string;
  /** As listed; the bytes are read only while it holds. Empty for `store:` objects, which never change. */
  readonly etag: string;
  readonly format: ItemFormat;
}

/** A byte range of a source that holds whole items, at least one. */
export interface Span extends Source {
  readonly start: number;
  readonly end: number;
  /** Items in it. */
  readonly items: number;
}

/** The bytes of one batch, in input order. */
export interface BatchPointer {
  readonly items: number;
  readonly spans: readonly Span[];
}

/**
 * Etag of bytes of which it is known that they are no longer what was listed, and not where the items lie in them. No object
 * has it, so that a worker that reads them is told that they have changed.
 */
export const CHANGED_ETAG = '"changed"';

export const SPLIT_FORMAT = 1;

/**
 * A split file: the pointers of up to 4,096 consecutive batches. Compact, because there may be a million: `batches[i]` is
 * a flat list of numbers `[source, start, end, items, source, start, end, items, …]`, `source` an index into `sources`.
 */
export interface SplitFile {
  readonly format: typeof SPLIT_FORMAT;
  readonly split: number;
  /** Number of its first batch, and of its first item, in the job; both count from 0. */
  readonly first_batch: number;
  readonly first_item: number;
  readonly sources: readonly Source[];
  readonly batches: readonly (readonly number[])[];
  /**
   * Of a retry: which items of the family's root these are, in the order of this job's items, as runs of items that follow
   * each other there: `[first, items, first, items, …]`. Absent: the job is no retry.
   */
  readonly origins?: readonly number[];
  /** Where the splitter goes on after this file; opaque to everybody else, JSON. */
  readonly cursor: unknown;
}

/** Written once when the split ends: the totals. */
export interface SplitEnd {
  readonly format: typeof SPLIT_FORMAT;
  /** False when a stop, a timeout or a failure ended the split early: input remains after `cursor`. */
  readonly complete: boolean;
  readonly splits: number;
  readonly batches: number;
  readonly items: number;
  readonly cursor?: unknown;
}

/** Batches in split file n: 64, 256, 1,024, then 4,096, so that the first workers start at once. */
export function batchesInSplit(split: number): number {
  return [64, 256, 1024][split] ?? 4096;
}

/** The split file that a batch stands in, and that file's first batch. All but a job's last one are full. */
export function splitOf(batch: number): { readonly split: number; readonly first: number } {
  let split = 0;
  let first = 0;
  while (split < 3 && batch >= first + batchesInSplit(split)) {
    first += batchesInSplit(split);
    split += 1;
  }
  if (split < 3) return { split, first };
  const further = Math.floor((batch - first) / batchesInSplit(split));
  return { split: split + further, first: first + further * batchesInSplit(split) };
}

export function pointerAt(file: SplitFile, offset: number): BatchPointer {
  const flat = file.batches[offset];
  if (flat === undefined) throw new RangeError(`split ${String(file.split)} has no batch at offset ${String(offset)}`);
  const spans: Span[] = [];
  let items = 0;
  for (let at = 0; at + 3 < flat.length; at += 4) {
    const [source, start, end, count] = flat.slice(at, at + 4) as [number, number, number, number];
    const from = file.sources[source];
    if (from === undefined) throw new RangeError(`split ${String(file.split)} has no source ${String(source)}`);
    spans.push({ ...from, start, end, items: count });
    items += count;
  }
  return { items, spans };
}

/** One line of the staged listing. */
export interface StagedObject {
  readonly uri: string;
  readonly size: number;
  readonly etag: string;
}
