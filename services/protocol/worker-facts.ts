/** What one worker's ledger says about the worker itself, read line by line in the order of writing. */
import type { ItemRange, LedgerLine, SealedLine, StartFailedLine } from "./ledger.ts";

/** What runs behind a `started` line; the newest of a batch counts. */
export interface OpenStart {
  readonly attempt: number;
  /** As in the line. */
  readonly range: ItemRange | undefined;
}

export interface WorkerFacts {
  readonly worker: string;
  /** Undefined until its handler is up. */
  hook: boolean | undefined;
  startFailed: StartFailedLine | undefined;
  /** Newest held line, less what it finished or handed back since. */
  held: readonly (readonly [number, number])[];
  dropped: Set<number>;
  /** Newest beat that it had read before its last empty poll; -1: none. */
  polled: number;
  /** `started` lines without an outcome or a hand-back, by batch. */
  readonly open: Map<number, OpenStart>;
  readonly sealed: SealedLine[];
  left: boolean;
  /** Why it stood down: it failed what others did well. */
  stoodDown: { readonly error: string; readonly traceback: string } | undefined;
}

export function newWorkerFacts(worker: string): WorkerFacts {
  return {
    worker,
    hook: undefined,
    startFailed: undefined,
    held: [],
    dropped: new Set(),
    polled: -1,
    open: new Map(),
    sealed: [],
    left: false,
    stoodDown: undefined,
  };
}

export function addLine(facts: WorkerFacts, line: LedgerLine): void {
  switch (line.t) {
    case "worker":
    case "doubted":
      return;
    case "ready":
      facts.hook = line.hook;
      return;
    case "start_failed":
      facts.startFailed = line;
      return;
    case "held":
      facts.held = line.held;
      facts.dropped = new Set();
      facts.polled = line.polled;
      return;
    case "started":
      facts.open.set(line.batch, { attempt: line.attempt, range: line.range });
      return;
    case "outcome":
      facts.open.delete(line.batch);
      if (facts.held.length > 0) facts.dropped.add(line.batch);
      return;
    case "handed_back":
      for (const batch of line.batches) {
        facts.open.delete(batch);
        facts.dropped.add(batch);
      }
      return;
    case "sealed":
      facts.sealed.push(line);
      return;
    case "left":
      facts.left = true;
      if (line.error !== undefined) facts.stoodDown = { error: line.error, traceback: line.traceback ?? "" };
      return;
  }
}

/** True while its newest `held` line names the batch and nothing since says otherwise. */
export function holds(facts: WorkerFacts, batch: number): boolean {
  if (facts.dropped.has(batch)) return false;
  return facts.held.some(([first, last]) => first <= batch && batch <= last);
}

/** Sorted numbers as inclusive ranges. */
export function asRanges(sorted: readonly number[]): (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (const value of sorted) {
    const last = ranges.at(-1);
    if (last?.[1] === value - 1) last[1] = value;
    else ranges.push([value, value]);
  }
  return ranges;
}
