/** A thread that takes seeds until none is left, and tells what came of them. */
import { parentPort, workerData } from "node:worker_threads";
import { runSeed } from "./run-seed.ts";
import type { SeedOrder, SeedTally } from "./run-seeds.ts";

/** Seeds that one message tells of. */
const CHUNK = 16;

const { from, seeds, taken } = workerData as SeedOrder;
for (;;) {
  const first = Atomics.add(taken, 0, CHUNK);
  if (first >= seeds) break;
  parentPort?.postMessage(await runChunk(from + first, from + Math.min(seeds, first + CHUNK)));
}

async function runChunk(first: number, end: number): Promise<SeedTally> {
  const tally = {
    seeds: 0,
    jobs: 0,
    events: 0,
    counters: new Map<string, number>(),
    broken: new Map<number, string[]>(),
  };
  for (let seed = first; seed < end; seed += 1) {
    const { jobs, events, counters, violations } = await runSeed(seed);
    tally.seeds += 1;
    tally.jobs += jobs;
    tally.events += events;
    for (const [name, count] of counters) tally.counters.set(name, (tally.counters.get(name) ?? 0) + count);
    if (violations.length > 0) tally.broken.set(seed, [...violations]);
  }
  return tally;
}
