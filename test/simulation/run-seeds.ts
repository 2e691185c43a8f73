import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

/** What came of some seeds. */
export interface SeedTally {
  readonly seeds: number;
  readonly jobs: number;
  readonly events: number;
  /** Faults and rare states, and how often each happened. */
  readonly counters: ReadonlyMap<string, number>;
  /** Seeds that broke something, in their order, and what. */
  readonly broken: ReadonlyMap<number, readonly string[]>;
}

/** What each thread is given. */
export interface SeedOrder {
  readonly from: number;
  readonly seeds: number;
  /** How many seeds have been taken by all threads. */
  readonly taken: Int32Array;
}

export interface SeedOptions {
  readonly from: number;
  readonly seeds: number;
  /** Default: one for each processor. */
  readonly threads?: number;
  /** Take no more seeds once one is broken. */
  readonly stop?: boolean;
}

/** A run leaves a lot behind at once: the less often that is collected, the less of it is still in use then. */
const YOUNG_MEGABYTES = 96;

/** Runs seeds on all processors. Which thread ran which makes no difference to the answer. */
export async function runSeeds(options: SeedOptions): Promise<SeedTally> {
  const { from, seeds, threads = availableParallelism(), stop = false } = options;
  const order: SeedOrder = { from, seeds, taken: new Int32Array(new SharedArrayBuffer(4)) };
  const sum = { seeds: 0, jobs: 0, events: 0, counters: new Map<string, number>(), broken: new Map<number, readonly string[]>() }; // prettier-ignore
  const add = (tally: SeedTally) => {
    sum.seeds += tally.seeds;
    sum.jobs += tally.jobs;
    sum.events += tally.events;
    for (const [name, count] of tally.counters) sum.counters.set(name, (sum.counters.get(name) ?? 0) + count);
    for (const [seed, violations] of tally.broken) sum.broken.set(seed, violations);
    if (stop && sum.broken.size > 0) Atomics.store(order.taken, 0, seeds);
  };
  await Promise.all(Array.from({ length: threads }, () => runThread(order, add)));
  return { ...sum, counters: sorted(sum.counters), broken: sorted(sum.broken) };
}

function runThread(order: SeedOrder, add: (tally: SeedTally) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL("./seed-thread.ts", import.meta.url), {
      workerData: order,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES },
    });
    thread.on("message", add);
    thread.on("error", reject);
    thread.on("exit", () => {
      resolve();
    });
  });
}

function sorted<Key extends string | number, Value>(map: ReadonlyMap<Key, Value>): Map<Key, Value> {
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}
