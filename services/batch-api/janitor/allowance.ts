/** How much of the store one pass may ask for: a janitor never stands in the way of jobs. */
export class Allowance {
  readonly #signal: AbortSignal;
  #left: number;
  #removed = 0;

  constructor(callsMax: number, signal: AbortSignal) {
    this.#left = callsMax;
    this.#signal = signal;
  }

  /** Objects that were removed with it. */
  get removed(): number {
    return this.#removed;
  }

  /** Counts calls that are about to be made. Throws `AllowanceSpent` when there are none left, and what the signal says. */
  spend(calls = 1): void {
    this.#signal.throwIfAborted();
    if (this.#left < calls) throw new AllowanceSpent();
    this.#left -= calls;
  }

  noteRemoved(): void {
    this.#removed += 1;
  }
}

/** The pass ends here; the next one goes on. */
export class AllowanceSpent extends Error {
  override readonly name = "AllowanceSpent";
}
