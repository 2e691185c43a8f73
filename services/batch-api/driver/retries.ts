/** What a driver's loops make of a step that failed. */
import { Deposed } from "./lane-lease.ts";

/** Steps that fail in a row before the loop gives up. */
export const FAILURES_MAX = 8;

/** This driver must end at once, whatever it was doing. */
export function isOurEnd(error: unknown): boolean {
  return error instanceof Deposed || (error instanceof Error && error.name === "StoreBroken");
}

/** At most a third of the laptop's lease, so that a loop that waits does not look like one that stands still. */
export function backoffMs(failures: number): number {
  return Math.min(50 * 2 ** failures, 1_500);
}
