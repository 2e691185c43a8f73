/** Runs seeds of the simulated cluster: `--seeds 1000 --from 1`, or one with its story: `--seed 17`. */
import { parseArgs } from "node:util";
import { runProgram, wholeOf } from "../support/a-program.ts";
import { neverHappened } from "./must-happen.ts";
import { runSeed } from "./run-seed.ts";
import { runSeeds, type SeedOptions } from "./run-seeds.ts";

const OPTIONS = {
  seeds: { type: "string", default: "2000" },
  from: { type: "string", default: "1" },
  seed: { type: "string" },
  lines: { type: "string", default: "200" },
  threads: { type: "string" },
  stop: { type: "boolean", default: false },
} as const;
/** Fewer seeds need not show every rare thing. */
const SEEDS_FOR_ALL = 1_000;

const BROKEN_SHOWN = 20;

const write = (line: string) => process.stdout.write(`${line}\n`);

async function run(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  const { seed, lines, from, seeds, threads, stop } = values;
  if (seed !== undefined) return tellOne(wholeOf("--seed", seed), wholeOf("--lines", lines));
  const asked = { from: wholeOf("--from", from), seeds: wholeOf("--seeds", seeds), stop };
  return runMany({ ...asked, ...(threads === undefined ? {} : { threads: wholeOf("--threads", threads) }) });
}

/** Its story up to its end, or up to what broke. */
async function tellOne(seed: number, lines: number): Promise<number> {
  const run = await runSeed(seed, { told: true });
  for (const line of run.last(lines)) write(line);
  writeCounters(run.counters);
  for (const violation of run.violations) write(`BROKEN ${violation}`);
  write(`seed ${String(seed)}: ${run.summary}; hash ${run.hash}`);
  return run.violations.length > 0 ? 1 : 0;
}

async function runMany(options: SeedOptions): Promise<number> {
  const startedMs = performance.now();
  const { seeds, jobs, events, counters, broken } = await runSeeds(options);
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

await runProgram("options: --seeds, --from, --threads, --stop; or --seed, --lines: test/simulation/README.md", run);
