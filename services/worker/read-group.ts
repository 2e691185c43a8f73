import type { Span } from "../protocol/pointers.ts";

/** Bytes of one source that are read in one go. */
export interface Range {
  readonly span: Span;
  readonly start: number;
  end: number;
}

/** Bytes that several batches of a hand share, or those of one batch that lies in several places. */
export interface ReadGroup {
  readonly ranges: readonly Range[];
  /** Batches of it that were not read yet. */
  batches: number;
  /** The one that came after it. */
  next: ReadGroup | undefined;
  reading: Promise<readonly Buffer[]> | undefined;
  /** What was read. */
  buffers: readonly Buffer[] | undefined;
}
