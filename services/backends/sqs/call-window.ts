/**
 * How many calls may be in flight: as many as allowed until the service throttles, then half as many, then one more for
 * every window of calls that went well. Calls wait their turn in order.
 *
 *     const turn = await window.enter();
 *     try { await call(); window.wentWell(); } catch { window.wasThrottled(turn); } finally { window.leave(); }
 */
export class CallWindow {
  readonly #callsMax: number;
  #calls = 0;
  #limit: number;
  /** Counts the halvings, so that the calls of one window that are throttled together halve it once. */
  #halvings = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(callsMax: number) {
    this.#callsMax = callsMax;
    this.#limit = callsMax;
  }

  /** Calls that may be in flight just now. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** Names the present state, for calls that take no turn, such as long polls. */
  get turn(): number {
    return this.#halvings;
  }

  async enter(): Promise<number> {
    if (this.#calls < this.limit) this.#calls += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#halvings;
  }

  leave(): void {
    this.#calls -= 1;
    while (this.#calls < this.limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#calls += 1;
      next();
    }
  }

  wentWell(): void {
    this.#limit = Math.min(this.#callsMax, this.#limit + 1 / this.#limit);
  }

  wasThrottled(turn: number): void {
    if (turn !== this.#halvings) return;
    this.#halvings += 1;
    this.#limit = Math.max(1, this.#limit / 2);
  }
}

/** Does the work of all items, so many at a time. After the first that throws none is begun, and its error is thrown once all have ended. */
export async function inParallel<T>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const runner = async () => {
    while (errors.length === 0) {
      const next = iterator.next();
      if (next.done === true) return;
      try {
        await work(next.value);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, runner));
  if (errors.length > 0) throw errors[0];
}
