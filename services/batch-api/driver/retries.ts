/** What a driver's loops make of a step that failed. */
import { DatasetError } from "../../backends/dataset.ts";
import { Unwell } from "../../backends/unwell.ts";
import type { DriverLog } from "./context.ts";
import { CountedBytesGone } from "./counted-bytes.ts";
import { Deposed } from "./lane-lease.ts";

/** Steps that fail in a row, by no fault of what lies behind the seams, before the loop gives up. */
export const FAILURES_MAX = 8;

/** This driver must end at once, whatever it was doing. */
export function isOurEnd(error: unknown): boolean {
  return (
    error instanceof Deposed ||
    error instanceof CountedBytesGone ||
    (error instanceof Error && error.name === "StoreBroken")
  );
}

/** The world is at fault: no bug of ours, and no reason to fail a job that may go on once it is mended. */
export function isOutside(error: unknown): error is Error {
  return error instanceof Unwell || (error instanceof DatasetError && error.fault === "unreachable");
}

/** At most a third of the laptop's lease, so that a loop that waits does not look like one that stands still. */
export function backoffMs(failures: number): number {
  return Math.min(50 * 2 ** Math.min(failures, 10), 1_500);
}

type Loop = "work" | "split" | "beat";

/** What keeps the loops of one driver from going on, for its job's message; logged when it comes, when it changes, when it goes. */
export class Troubles {
  readonly #job: string;
  readonly #log: DriverLog;
  readonly #sentences = new Map<Loop, string>();

  constructor(job: string, log: DriverLog) {
    this.#job = job;
    this.#log = log;
  }

  /** Empty: nothing does. */
  get sentence(): string {
    const [first] = this.#sentences.values();
    return first === undefined ? "" : `The job waits, and goes on by itself once this is mended: ${first}`;
  }

  /** Answers whether the failure counts as one of ours. */
  note(loop: Loop, error: unknown): boolean {
    if (!isOutside(error)) {
      this.#log.warn({ job: this.#job, loop, err: error }, "a step failed; it is tried again");
      return true;
    }
    if (this.#sentences.get(loop) !== error.message) this.#log.warn({ job: this.#job, loop }, error.message);
    this.#sentences.set(loop, error.message);
    return false;
  }

  worked(loop: Loop): void {
    if (this.#sentences.delete(loop)) this.#log.info({ job: this.#job, loop }, "the job goes on");
  }
}
