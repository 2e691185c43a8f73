import type { Clock } from "../backends/clock.ts";

/** A busy processor lets a process wait as well; that is no more than this. */
const LATE_MS = 1_000;

/** Sleeps; answers for how long this process stood still meanwhile (frozen, or its machine asleep), milliseconds. */
export async function sleepAndTell(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<number> {
  const beganMs = clock.monotonicMs();
  await clock.sleep(milliseconds, signal);
  const lateMs = clock.monotonicMs() - beganMs - milliseconds;
  return lateMs > LATE_MS ? lateMs : 0;
}
