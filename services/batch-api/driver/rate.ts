import type { Clock } from "../../backends/clock.ts";

const WINDOW_MS = 10_000;
const STEP_MS = 250;

/** Items a second over the last ten. */
export class Rate {
  readonly #clock: Clock;
  readonly #samples: { readonly atMs: number; readonly items: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `items`: all that are settled by now. */
  note(items: number): void {
    const atMs = this.#clock.monotonicMs();
    const last = this.#samples.at(-1);
    if (last !== undefined && atMs - last.atMs < STEP_MS) return;
    this.#samples.push({ atMs, items });
    while ((this.#samples[0]?.atMs ?? atMs) < atMs - WINDOW_MS) this.#samples.shift();
  }

  perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
    return Math.max(0, ((last.items - first.items) * 1000) / (last.atMs - first.atMs));
  }
}
