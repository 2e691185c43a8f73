import type { SendView } from "../../protocol/driver-facts.ts";

/** Room for so many batches at first; it doubles. */
const FIRST_BATCHES = 16;

/** What was sent in this epoch, and when, by the driver's own monotonic clock. Some 10 bytes a batch. */
export class SendBook implements SendView {
  through = 0;
  readonly retries = new Map<number, number>();
  #attempt = new Uint8Array(FIRST_BATCHES);
  #sentAtMs = new Float64Array(FIRST_BATCHES);
  /** How often a suspicion re-sent it: the next one waits twice as long. */
  #suspicions = new Uint8Array(FIRST_BATCHES);

  sent(batch: number, attempt: number, nowMs: number): void {
    if (batch >= this.#attempt.length) this.#grow(batch);
    const again = this.#attempt[batch] === attempt;
    this.#attempt[batch] = attempt;
    this.#sentAtMs[batch] = nowMs;
    this.#suspicions[batch] = again ? Math.min((this.#suspicions[batch] ?? 0) + 1, 6) : 0;
    this.retries.delete(batch);
  }

  attempt(batch: number): number {
    return this.#attempt[batch] ?? 0;
  }

  suspectAfterMs(batch: number, leaseMs: number): number {
    return (this.#sentAtMs[batch] ?? 0) + leaseMs * 2 ** (this.#suspicions[batch] ?? 0);
  }

  #grow(batch: number): void {
    const length = Math.max(batch + 1, this.#attempt.length * 2);
    const attempt = new Uint8Array(length);
    attempt.set(this.#attempt);
    this.#attempt = attempt;
    const sentAtMs = new Float64Array(length);
    sentAtMs.set(this.#sentAtMs);
    this.#sentAtMs = sentAtMs;
    const suspicions = new Uint8Array(length);
    suspicions.set(this.#suspicions);
    this.#suspicions = suspicions;
  }
}
