import { LaneGone } from "../backends/batch-queue.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";

/** Why a worker ends. */
export type Leaving =
  | { readonly kind: "excess" | "stop" | "zombie" | "drain" | "lost" | "sick" }
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

/** The queue is not there any more: its service ended, or the lane was removed. What is written down counts all the same. */
export function isQueueGone(error: unknown): boolean {
  return error instanceof LaneGone || (error instanceof Error && error.name === "QueueClosed");
}
