import { runFault } from "./run-fault.ts";
import { FAULTS, faultNames, type Fault, type SweptCall } from "./single-fault.ts";
import type { SweptJobName } from "./swept-jobs.ts";

export interface Swept {
  readonly fault: Fault;
  /** Which call of the run, from 0. */
  readonly at: number;
  readonly call: SweptCall;
  readonly problems: readonly string[];
}

export interface SweepOptions {
  /** A part of the faults for each call, in turn, so that each class meets calls of all kinds; rare classes meet all of theirs. */
  readonly rotated?: boolean;
  /** Only of this class. */
  readonly only?: Fault;
}

/** Of a rotated sweep: calls that each class meets, about. */
const CALLS_EACH = 50;

/** Each call of a job with each fault that can befall it. Throws when the job comes to no good without any. */
export async function* sweep(job: SweptJobName, { rotated = false, only }: SweepOptions = {}): AsyncGenerator<Swept> {
  for (const fault of only === undefined ? faultNames : [only]) {
    const { calls, problems } = await runFault(job, fault);
    if (problems.length > 0) throw new Error(`without any fault: ${problems.join("; ")}`);
    const turn = everywhere.indexOf(fault);
    const stride = Math.min(everywhere.length, Math.ceil(calls.length / CALLS_EACH)); // no call is left out
    for (const [at, call] of calls.entries()) {
      if (!FAULTS[fault].befalls(call)) continue;
      if (rotated && turn >= 0 && at % stride !== turn % stride) continue;
      yield { fault, at, call, problems: (await runFault(job, fault, at)).problems };
    }
  }
}

/** Classes that befall most calls. */
const everywhere = faultNames.filter((fault) => FAULTS[fault].befalls({ by: "replica", words: "now" }));

/** Counts what was swept. */
export class SweepTally {
  failed = 0;
  readonly byFault = new Map<Fault, number>();
  /** Kinds of call that were met: the seam's verb. */
  readonly verbs = new Set<string>();
  readonly #calls = new Set<string>();
  #faults = 0;

  add(job: SweptJobName, { fault, at, call, problems }: Swept): void {
    this.#faults += 1;
    this.#calls.add(`${job} ${String(at)}`);
    this.verbs.add(call.words.split(" ")[0] ?? "");
    this.byFault.set(fault, (this.byFault.get(fault) ?? 0) + 1);
    if (problems.length > 0) this.failed += 1;
  }

  /** The command that plays one of them again. */
  replayOf(job: SweptJobName, { fault, at }: Swept): string {
    return `node test/sweep/main.ts --job ${job} --fault "${fault}" --at ${String(at)}`;
  }

  get sentence(): string {
    const classes = [...this.byFault].map(([fault, count]) => `${fault} ${String(count)}`).join(", ");
    return (
      `${String(this.#calls.size)} calls swept with ${String(this.#faults)} single faults, ` +
      `${String(this.failed)} of them broke something (${classes})`
    );
  }
}
