/** What a queue in this process can do beyond the seam. */
import type { BatchQueue, Delivery, ReceiveOptions } from "./batch-queue.ts";

/**
 * What just happened in a lane: messages were `acked` or `released`; a lease `expired`; a poll found nothing and is
 * `waiting`; a poll was answered with nothing (`empty`).
 */
export type LaneActivity = "acked" | "released" | "expired" | "waiting" | "empty";

/** A receive whose wait can be given up, because memory, unlike SQS, knows that nothing was handed out. */
export interface CancellableReceiveOptions extends ReceiveOptions {
  /** When it aborts, the wait ends with an empty answer. */
  readonly signal?: AbortSignal;
}

/** A queue that can be served over a socket: a poll whose connection is gone takes no messages along. */
export interface CancellableQueue extends BatchQueue {
  receive(lane: string, options: CancellableReceiveOptions): Promise<readonly Delivery[]>;
  /** As `release`, for a holder that is gone: what it held counts as delivered, because it may have been its end. */
  abandon(lane: string, receipts: readonly string[]): Promise<void>;
}
