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
    this.#end?.abort(CALLED);
  }

  /** At least `minMs` (so that a storm of calls costs little), at most `maxMs`; rejects when `signal` aborts. */
  async pause(minMs: number, maxMs: number, signal: AbortSignal): Promise<void> {
    const earliestMs = this.#clock.monotonicMs() + minMs;
    if (!this.#called && maxMs > minMs) await this.#sleepUnlessCalled(maxMs, signal);
    const leftMs = earliestMs - this.#clock.monotonicMs();
    if (leftMs > 0) await this.#clock.sleep(leftMs, signal);
    else signal.throwIfAborted();
    this.#called = false;
  }

  async #sleepUnlessCalled(milliseconds: number, signal: AbortSignal): Promise<void> {
    const end = new AbortController();
    const leave = () => {
      end.abort(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    this.#end = end;
    try {
      await this.#clock.sleep(milliseconds, end.signal);
    } catch {
      signal.throwIfAborted(); // else: woken, which is no error
    } finally {
      this.#end = undefined;
      signal.removeEventListener("abort", leave);
    }
  }
}

/** Says why a sleep ended, and to nobody: an error made anew at each call costs more than the pause. */
const CALLED = new Error("woken");
