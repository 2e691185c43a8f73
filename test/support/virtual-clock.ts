import type { Clock } from "../../services/backends/clock.ts";

interface Sleeper {
  readonly atMilliseconds: number;
  readonly wake: () => void;
}

/** A clock whose time stands still until a test advances it. Sleepers wake in the order of their times, one at a time. */
export class VirtualClock implements Clock {
  private now = 0;
  private readonly sleepers = new Set<Sleeper>();

  monotonicMs(): number {
    return this.now;
  }

  wallMs(): number {
    return Date.UTC(2026, 0, 1) + this.now;
  }

  /** How many sleep: a unit that leaves timers behind shows here. */
  get sleeping(): number {
    return this.sleepers.size;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const abort = () => {
        this.sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper: Sleeper = {
        atMilliseconds: this.now + milliseconds,
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      this.sleepers.add(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Lets time pass; resolves when all that was due has woken and has run as far as it can without more time. */
  async advance(milliseconds: number): Promise<void> {
    const until = this.now + milliseconds;
    for (;;) {
      const next = this.earliest();
      if (next === undefined || next.atMilliseconds > until) break;
      this.now = Math.max(this.now, next.atMilliseconds);
      this.sleepers.delete(next);
      next.wake();
      await turn();
    }
    this.now = until;
    await turn();
  }

  /** Time passes while nobody runs, as for a process that is stopped; who is late wakes at the next `advance`. */
  jump(milliseconds: number): void {
    this.now += milliseconds;
  }

  private earliest(): Sleeper | undefined {
    let earliest: Sleeper | undefined;
    for (const sleeper of this.sleepers) {
      if (earliest === undefined || sleeper.atMilliseconds < earliest.atMilliseconds) earliest = sleeper;
    }
    return earliest;
  }
}

/** Everything that is ready to run, runs. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
