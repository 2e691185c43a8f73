import type { JobSpec } from "../../protocol/jobs.ts";
import { Unsplittable, type DriverDeps, type SplitSource } from "./context.ts";
import { backoffMs, FAILURES_MAX, isOurEnd } from "./retries.ts";
import type { RunningJob } from "./running-job.ts";

/** A split far ahead of the work waits: unsettled batches that are known at once. */
const AHEAD_MAX = 2_000_000;

/** Drives the splitter of one job, step by step, beside the driver's other loops. */
export class SplitLoop {
  readonly #deps: DriverDeps;
  readonly #spec: JobSpec;
  #splitter: SplitSource;
  #stepping: ReturnType<SplitSource["step"]> | undefined;
  #over = false;
  #movedAtMs: number;

  constructor(deps: DriverDeps, spec: JobSpec) {
    this.#deps = deps;
    this.#spec = spec;
    this.#splitter = deps.splitterFor(spec);
    this.#movedAtMs = deps.clock.monotonicMs();
  }

  /** No step comes any more. */
  get over(): boolean {
    return this.#over;
  }

  /** When a step ended last, monotonic milliseconds. */
  get movedAtMs(): number {
    return this.#movedAtMs;
  }

  moved(): void {
    this.#movedAtMs = this.#deps.clock.monotonicMs();
  }

  /** Until the split is complete, fails (told in `job.splitFailure`) or the signal aborts; `onStep` hears of each step. Throws when this driver must end. */
  async run(job: RunningJob, signal: AbortSignal, onStep: () => void): Promise<void> {
    let [tries, failures] = [0, 0];
    try {
      while (!this.#over && !job.splits.complete && !signal.aborted) {
        try {
          this.#stepping = this.#splitter.step();
          if ((await this.#stepping) === "end") break;
          [tries, failures] = [0, 0];
          job.troubles.worked("split");
        } catch (error) {
          if (error instanceof Unsplittable || isOurEnd(error)) throw error;
          tries += 1;
          if (job.troubles.note("split", error)) failures += 1;
          if (failures > FAILURES_MAX) throw error;
          await this.#startAnew(tries, signal);
        }
        this.moved();
        onStep();
        if (job.splits.batches - job.ledgers.fold.settled > AHEAD_MAX) await this.#deps.clock.sleep(100, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isOurEnd(error)) throw error; // the other loops may never meet it: a full disk takes small writes for long
      job.splitFailure = error instanceof Error ? error.message : String(error);
    } finally {
      this.#over = true;
    }
  }

  /** Ends the split where it stands. */
  async endEarly(): Promise<void> {
    this.#over = true;
    await this.#stepping?.catch(() => undefined); // a step that is under way may still write a split file: it counts
    await this.#deps.splitterFor(this.#spec).endEarly(); // a fresh one, which knows all that is stored
  }

  async #startAnew(tries: number, signal: AbortSignal): Promise<void> {
    this.moved();
    await this.#deps.clock.sleep(backoffMs(tries), signal);
    this.#splitter = this.#deps.splitterFor(this.#spec);
  }
}
