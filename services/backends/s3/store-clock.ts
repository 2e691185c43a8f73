import type { Clock } from "../clock.ts";

/** What an answer of the store told of its clock is good for so long. */
const FRESH_MILLISECONDS = 30_000;

/**
 * The store's wall clock, from the `Date` of its answers and this machine's monotonic clock between them. A `Date` is cut to
 * the second and old by its way here, so that none is ahead of the store: the latest of some is nearest. Never goes back.
 */
export class StoreClock {
  readonly #clock: Clock;
  #window: { readonly beganMs: number; aheadMs: number } | undefined;
  /** How far ahead of the monotonic clock it was in the window before this one. */
  #beforeMs = -Infinity;
  #told = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An answer of the store has just come, with this `Date`, Unix milliseconds. */
  observe(dateMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const aheadMs = dateMs - nowMs;
    if (this.#window !== undefined && nowMs - this.#window.beganMs < FRESH_MILLISECONDS) {
      this.#window.aheadMs = Math.max(this.#window.aheadMs, aheadMs);
      return;
    }
    const isNext = this.#window !== undefined && nowMs - this.#window.beganMs < 2 * FRESH_MILLISECONDS;
    this.#beforeMs = isNext && this.#window !== undefined ? this.#window.aheadMs : -Infinity;
    this.#window = { beganMs: nowMs, aheadMs };
  }

  /** Unix milliseconds; undefined when no answer came lately. */
  now(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    if (this.#window === undefined || nowMs - this.#window.beganMs >= FRESH_MILLISECONDS) return undefined;
    this.#told = Math.max(this.#told, Math.round(nowMs + Math.max(this.#window.aheadMs, this.#beforeMs)));
    return this.#told;
  }
}
