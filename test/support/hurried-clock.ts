import type { Clock } from "../../services/backends/clock.ts";

/** A clock that nobody waits for: a sleep ends at once, and its time has passed. */
export class HurriedClock implements Clock {
  /** What happens while somebody sleeps. */
  duringSleep: () => void = () => {};
  sleeps = 0;
  private now = 1_000;

  monotonicMs(): number {
    return this.now;
  }

  wallMs(): number {
    return this.now;
  }

  async sleep(milliseconds: number): Promise<void> {
    this.now += milliseconds;
    this.sleeps += 1;
    this.duringSleep();
    await new Promise((resolve) => setImmediate(resolve));
  }

  pass(milliseconds: number): void {
    this.now += milliseconds;
  }
}
