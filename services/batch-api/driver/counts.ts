import type { FoldCounts } from "../../protocol/fold.ts";
import type { JobCounts } from "../../protocol/jobs.ts";
import type { SplitReader } from "./split-reader.ts";

/** The wire's counts from the fold's. */
export function countsOf(fold: FoldCounts, splits: Pick<SplitReader, "batches" | "items" | "complete">): JobCounts {
  return {
    batches: splits.batches,
    items: splits.items,
    complete: splits.complete,
    batches_succeeded: fold.batchesSucceeded,
    batches_failed: fold.batchesFailed,
    items_succeeded: fold.itemsSucceeded,
    items_failed: fold.itemsFailed,
    attempts_failed: fold.attemptsFailed,
    handler_seconds: Math.round(fold.handlerSeconds * 1000) / 1000,
  };
}
