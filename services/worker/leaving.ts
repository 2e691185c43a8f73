import { LaneGone } from "../backends/batch-queue.ts";
import type { LeftLine } from "../protocol/ledger.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";

/** Why a worker that fails what others do well stands down: a sentence, and the end of what its last failure printed. */
export interface StoodDown {
  readonly error: string;
  readonly traceback: string;
}

/** Why a worker ends. */
export type Leaving =
  | { readonly kind: "excess" | "stop" | "zombie" | "drain" | "lost" }
  /** `why` of one that stood down; one whose handler cannot start has said so already. */
  | { readonly kind: "sick"; readonly why?: StoodDown }
  | { readonly kind: "broken"; readonly error: unknown };

/** The process's exit code for each. */
export const LEAVING_EXIT = {
  excess: WORKER_EXIT.done,
  stop: WORKER_EXIT.done,
  zombie: WORKER_EXIT.done,
  drain: WORKER_EXIT.drained,
  lost: WORKER_EXIT.done,
  sick: WORKER_EXIT.crashed,
} as const;

/** The last line of its ledger. */
export function leftLine(leaving: Exclude<Leaving, { kind: "broken" }>): LeftLine {
  return { t: "left", why: leaving.kind, ...(leaving.kind === "sick" ? leaving.why : undefined) };
}

/** The queue is not there any more: its service ended, or the lane was removed. What is written down counts all the same. */
export function isQueueGone(error: unknown): boolean {
  return error instanceof LaneGone || (error instanceof Error && error.name === "QueueClosed");
}
