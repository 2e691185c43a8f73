/** SQS hides a message for at most so long after it was received, however often its lease is renewed. */
export const HIDDEN_SECONDS_MAX = 43_200;
/** Renewals stop so long before that. */
const MARGIN_SECONDS = 600;

/** The longest lease of which one renewal at least stays below the ceiling. */
export const LEASE_SECONDS_MAX = HIDDEN_SECONDS_MAX / 2 - MARGIN_SECONDS;

/**
 * Since when each receipt is held, and which are held beyond SQS's ceiling of 12 hours. The messages of those have been
 * acked, and their holder's ledger lines alone keep their batches from being sent again.
 */
export class HeldReceipts {
  readonly #leaseSeconds: number;
  /** On the monotonic clock, in the order of the receives. */
  readonly #receivedAtMs = new Map<string, number>();
  readonly #beyond = new Set<string>();

  constructor(leaseSeconds: number) {
    this.#leaseSeconds = leaseSeconds;
  }

  get size(): number {
    return this.#receivedAtMs.size + this.#beyond.size;
  }

  /** `nowMs` on the monotonic clock; the margin covers the time that the answer was on its way. */
  received(receipt: string, nowMs: number): void {
    for (const [old, receivedAtMs] of this.#receivedAtMs) {
      if (nowMs - receivedAtMs < 1000 * HIDDEN_SECONDS_MAX) break;
      this.#receivedAtMs.delete(old); // neither acked nor handed back by its holder, and good for nothing any more
    }
    this.#receivedAtMs.set(receipt, nowMs);
  }

  forget(receipt: string): void {
    this.#receivedAtMs.delete(receipt);
    this.#beyond.delete(receipt);
  }

  /** Whether one more renewal would come too near to the ceiling. */
  isAtCeiling(receipt: string, nowMs: number): boolean {
    const receivedAtMs = this.#receivedAtMs.get(receipt);
    if (receivedAtMs === undefined) return false;
    return nowMs - receivedAtMs > 1000 * (HIDDEN_SECONDS_MAX - MARGIN_SECONDS - this.#leaseSeconds);
  }

  isBeyond(receipt: string): boolean {
    return this.#beyond.has(receipt);
  }

  /** Its message has been acked; the holder keeps the batch. */
  keepBeyond(receipt: string): void {
    this.#receivedAtMs.delete(receipt);
    this.#beyond.add(receipt);
  }
}
