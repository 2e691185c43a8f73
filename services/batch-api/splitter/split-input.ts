import type { Draft } from "./draft.ts";

/** Where a splitter's items come from: entered at any place that it told, and the same items in the same order each time. */
export interface SplitInput {
  /** Where the next item begins, when the last batch was closed just now; JSON, and opaque to everybody else. */
  readonly place: unknown;
  /** Goes on from a place; what was begun is forgotten. */
  enter(place: unknown): Promise<void>;
  /**
   * Does one bounded piece of the work: lists, or adds whole items to the draft and closes each batch that is full, until it
   * holds `batchesMax`. Throws `DatasetError` when the data cannot be read, has changed since it was listed, or cannot be cut.
   */
  fill(draft: Draft, batchesMax: number): Promise<Filled>;
  /** Waits for reads that are under way. */
  close(): Promise<void>;
}

export type Filled =
  /** The dataset is being listed: objects that match so far. */
  | { readonly kind: "listing"; readonly objects: number }
  /** Went through so many bytes, or what costs as much. */
  | { readonly kind: "scanned"; readonly bytes: number }
  /** No item is left. */
  | { readonly kind: "through" }
  /** No object of the dataset matches paths and globs; nothing more will come. */
  | { readonly kind: "no_match"; readonly message: string };
