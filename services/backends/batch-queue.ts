import type { Message } from "../protocol/messages.ts";

/**
 * The seam that hands out pointers: SQS lanes in the cloud, memory in the service process on a laptop (workers reach it
 * over a Unix socket). At least once, unordered, leased. It only distributes: if it loses, repeats or reorders
 * messages nothing is wrong, because all that is missing can be computed from the ledgers.
 */
export interface Delivery {
  readonly message: Message;
  /** Names this very delivery; good for `extend`, `ack` and `release` until its lease ends. */
  readonly receipt: string;
  /** How often this message was received, this time included; a hint only (a hand-back may or may not count). */
  readonly deliveries: number;
}

export interface ReceiveOptions {
  /** At most so many messages, >= 1. A backend may give fewer (SQS: 10 a call). */
  readonly messagesMax: number;
  /** How long to wait for a first message, seconds; 0 answers at once. */
  readonly waitSeconds: number;
}

/** The lane's queue does not exist (any more). No retry helps: its holder moves to another lane and sends anew what is missing. */
export class LaneGone extends Error {
  override readonly name = "LaneGone";
}

/** Lanes are named `<api>/<number>` (see `queueLane`). */
export interface BatchQueue {
  /** Leases last so many seconds from a receive or an extend. */
  readonly leaseSeconds: number;

  /** Sends messages to a lane. Answers the indexes (into `messages`) that were not taken; the caller sends those again. */
  send(lane: string, messages: readonly Message[]): Promise<readonly number[]>;

  /** Leases up to `messagesMax` messages. An empty answer says that the lane had nothing visible, nothing more. */
  receive(lane: string, options: ReceiveOptions): Promise<readonly Delivery[]>;

  /** Renews leases for `leaseSeconds` from now. Receipts that are no longer good are answered; nothing else happens to them. */
  extend(lane: string, receipts: readonly string[]): Promise<readonly string[]>;

  /** Removes messages for good. A receipt that is no longer good is ignored. */
  ack(lane: string, receipts: readonly string[]): Promise<void>;

  /** Hands messages back: visible to the next receive at once. A receipt that is no longer good is ignored. */
  release(lane: string, receipts: readonly string[]): Promise<void>;

  /** Resolves when the lane answers; throws when it does not: `LaneGone` when it is not there, else denied or unreachable. */
  probe(lane: string): Promise<void>;
}
