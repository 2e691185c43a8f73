import type { Clock } from "../../backends/clock.ts";

/** A pause that ends when somebody calls, or by itself. */
export class Wake {
  readonly #clock: Clock;
  #called = false;
  #end: AbortController | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  call(): void {
    this.#called = true;
    this.#end?.abort();
  }

  /** At least `minMs` (so that a storm of calls costs little), at most `maxMs`; rejects when `signal` aborts. */
  async pause(minMs: number, maxMs: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(minMs, signal);
    if (!this.#called && maxMs > minMs) {
      this.#end = new AbortController();
      try {
        await this.#clock.sleep(maxMs - minMs, AbortSignal.any([signal, this.#end.signal]));
      } catch {
        signal.throwIfAborted(); // else: woken, which is no error
      } finally {
        this.#end = undefined;
      }
    }
    this.#called = false;
  }
}
