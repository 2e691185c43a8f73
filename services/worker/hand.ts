import type { Delivery } from "../backends/batch-queue.ts";
import type { HeldLine } from "../protocol/ledger.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import type { ReadGroup } from "./read-group.ts";
import { asRanges } from "../protocol/worker-facts.ts";

/** Handler processes that may end before they begin a batch, all but the first with nothing else in their pipe. */
export const UNBEGUN_MAX = 4;

export interface HeldBatch {
  readonly message: BatchMessage;
  readonly receipt: string;
  /** Runs with nothing beside it, after a durable started line. */
  readonly alone: boolean;
  /** It came before, to this worker or to another one. */
  readonly redelivered: boolean;
  begun: boolean;
  /** How many handler processes ended with it in their pipe before they began it. */
  unbegun: number;
  /** What is read together with it; see PayloadReader. */
  group?: ReadGroup;
}

/** The pointers that this worker holds: those that wait, in the order of their coming, and those that a handler has. */
export class Hand {
  readonly #held = new Map<string, HeldBatch>();
  readonly #batches = new Set<number>();
  #waiting: HeldBatch[] = [];
  #next = 0;
  #changed = false;

  take(delivery: Delivery & { readonly message: BatchMessage }, alone: boolean): HeldBatch {
    const { message, receipt, deliveries } = delivery;
    const held = { message, receipt, alone, redelivered: deliveries > 1, begun: false, unbegun: 0 };
    this.#held.set(held.receipt, held);
    this.#batches.add(held.message.batch);
    this.#waiting.push(held);
    this.#changed = true;
    return held;
  }

  /** The next one to run; it stays held. */
  next(): HeldBatch | undefined {
    const held = this.#waiting[this.#next];
    if (held === undefined) return undefined;
    this.#next += 1;
    if (this.#next > 1024 && this.#next * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#next);
      this.#next = 0;
    }
    return held;
  }

  /** Waiting ones in their order, without taking them. */
  peek(ahead = 0): HeldBatch | undefined {
    return this.#waiting[this.#next + ahead];
  }

  holds(batch: number): boolean {
    return this.#batches.has(batch);
  }

  /** It runs again before all others: its process went before it was begun. */
  putBack(held: HeldBatch): void {
    held.begun = false;
    this.#waiting = [held, ...this.#waiting.slice(this.#next)];
    this.#next = 0;
  }

  drop(held: HeldBatch): void {
    this.#held.delete(held.receipt);
    this.#batches.delete(held.message.batch);
  }

  /** Takes out all that wait. */
  takeWaiting(): HeldBatch[] {
    const waiting = this.#waiting.slice(this.#next);
    this.#waiting = [];
    this.#next = 0;
    return waiting;
  }

  /** All that is held, waiting or not. */
  takeAll(): HeldBatch[] {
    const held = [...this.#held.values()];
    this.#held.clear();
    this.#batches.clear();
    this.takeWaiting();
    return held;
  }

  get size(): number {
    return this.#held.size;
  }

  get waiting(): number {
    return this.#waiting.length - this.#next;
  }

  receipts(): string[] {
    return [...this.#held.keys()];
  }

  batches(): number[] {
    return [...this.#held.values()].map(({ message }) => message.batch).sort((a, b) => a - b);
  }

  /** True once after pointers came; what went away stands in outcomes and hand-backs. */
  takeChange(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /** `polled`: see HeldLine. */
  line(polled: number): HeldLine {
    const started = [...this.#held.values()].filter(({ begun }) => begun).map(({ message }) => message.batch);
    return { t: "held", held: asRanges(this.batches()), started, polled };
  }
}
