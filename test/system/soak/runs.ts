/** What the handlers noted down about every batch that they ran, and whether each repetition has its reason. */
import type { ChaosEvent } from "./chaos.ts";

/** A batch's one run by a handler. */
export interface Run {
  readonly job: string;
  /** Number of the batch's first item. */
  readonly first: number;
  readonly items: number;
  readonly handler: number;
  readonly worker: number;
  /** Unix milliseconds. */
  readonly beganAt: number;
  /** Undefined: it never came to its end. */
  endedAt: number | undefined;
}

/** The handler of a soak: notes begin and end of each batch, and takes its time until a file says that all is calm; refuses negative numbers. */
export const NOTING_HANDLER = `
import os, time

class Handler:
    def __init__(self, config, job_spec):
        self.job = job_spec["job_id"]
        self.calm = config["calm"]
        self.seconds = config["seconds"]
        self.notes = os.open(config["notes"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, what, payload):
        line = f"{what} {self.job} {payload[0]} {len(payload)} {os.getpid()} {os.getppid()} {time.time() * 1000:.0f}\\n"
        os.write(self.notes, line.encode())

    def handle_batch(self, payload):
        self.note("began", payload)
        print("begins at", payload[0])
        if not os.path.exists(self.calm):
            time.sleep(self.seconds)
        if any(item < 0 for item in payload):
            raise ValueError("a negative number")
        self.note("ended", payload)
        return [item * 2 for item in payload]
`;

/** Throws for a line that no handler writes: a torn or foreign one. */
export function readRuns(notes: string): readonly Run[] {
  const runs: Run[] = [];
  const open = new Map<string, Run>();
  for (const line of notes.split("\n").filter(Boolean)) {
    const [what, job, ...numbers] = line.split(" ");
    const [first = NaN, items = NaN, handler = NaN, worker = NaN, at = NaN] = numbers.map(Number);
    if (job === undefined || [first, items, handler, worker, at].some(Number.isNaN)) throw new Error(`note: ${line}`);
    const key = `${job} ${String(first)} ${String(handler)}`;
    if (what === "began") {
      const run = { job, first, items, handler, worker, beganAt: at, endedAt: undefined };
      runs.push(run);
      open.set(key, run);
    } else {
      const run = open.get(key);
      if (run === undefined) throw new Error(`an end without a beginning: ${line}`);
      run.endedAt = at;
      open.delete(key);
    }
  }
  return runs;
}

export interface Repetition {
  readonly first: Run;
  readonly again: Run;
}

/** Runs that had a successor, each with it. */
export function repetitions(runs: readonly Run[]): readonly Repetition[] {
  const last = new Map<string, Run>();
  const found: Repetition[] = [];
  for (const run of runs) {
    const key = `${run.job} ${String(run.first)}`;
    const before = last.get(key);
    if (before !== undefined) found.push({ first: before, again: run });
    last.set(key, run);
  }
  return found;
}

/** A blow shortly before a run counts as well: what was frozen wakes later, and what ends takes its time. */
const BEFORE_MS = 10_000;

/** Whether something was done to its handler, to its worker or to the service between the one run and the next. */
export function isExplained({ first, again }: Repetition, events: readonly ChaosEvent[]): boolean {
  return events.some(({ at, target, pid }) => {
    if (at < first.beganAt - BEFORE_MS || at > again.beganAt) return false;
    return target === "service" || pid === first.handler || pid === first.worker;
  });
}
