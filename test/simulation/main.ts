/** Runs seeds of the simulated cluster: `--seeds 1000 --from 1`, or one with its story: `--seed 17`. */
import { parseArgs } from "node:util";
import { neverHappened } from "./must-happen.ts";
import { runSeed } from "./run-seed.ts";
import { runSeeds } from "./run-seeds.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    lines: { type: "string", default: "200" },
    threads: { type: "string" },
    stop: { type: "boolean", default: false },
  },
});
/** Fewer seeds need not show every rare thing. */
const SEEDS_FOR_ALL = 1_000;

const BROKEN_SHOWN = 20;

const write = (line: string) => process.stdout.write(`${line}\n`);
process.exitCode = values.seed === undefined ? await runMany() : await tellOne(Number(values.seed));

/** Its story up to its end, or up to what broke. */
async function tellOne(seed: number): Promise<number> {
  const run = await runSeed(seed, { told: true });
  for (const line of run.last(Number(values.lines))) write(line);
  writeCounters(run.counters);
  for (const violation of run.violations) write(`BROKEN ${violation}`);
  write(`seed ${String(seed)}: ${run.summary}; hash ${run.hash}`);
  return run.violations.length > 0 ? 1 : 0;
}

async function runMany(): Promise<number> {
  const { threads, stop } = values;
  const startedMs = performance.now();
  const options = { from: Number(values.from), seeds: Number(values.seeds), stop };
  const { seeds, jobs, events, counters, broken } = await runSeeds({ ...options, ...(threads === undefined ? {} : { threads: Number(threads) }) }); // prettier-ignore
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage();
  const processorSeconds = (user + system) / 1e6;
  writeCounters(counters);
  for (const [seed, violations] of [...broken].slice(0, BROKEN_SHOWN))
    write(`npm run simulate -- --seed ${String(seed)}: ${violations[0] ?? ""}`);
  const missing = options.seeds >= SEEDS_FOR_ALL ? neverHappened(counters) : [];
  for (const name of missing) write(`never happened: ${name}`);
  write(
    `${String(seeds)} seeds, ${String(jobs)} jobs, ${String(broken.size)} broken; ${String(Math.round(events / jobs))} events a job`,
  );
  write(`${(seeds / seconds).toFixed(1)} seeds/s, ${(jobs / seconds).toFixed(1)} jobs/s, ${(jobs / processorSeconds).toFixed(1)} jobs per processor and second, ${seconds.toFixed(1)} s`); // prettier-ignore
  return broken.size + missing.length > 0 ? 1 : 0;
}

function writeCounters(counters: ReadonlyMap<string, number>): void {
  for (const [name, count] of counters) write(`${name.padEnd(40)} ${String(count)}`);
}
