/** Runs seeds of the simulated cluster: `--seeds 1000 --from 1`, or one with its story: `--seed 17`. */
import { parseArgs } from "node:util";
import { runSeed } from "./run-seed.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    lines: { type: "string", default: "200" },
    stop: { type: "boolean", default: false },
  },
});

const write = (line: string) => process.stdout.write(`${line}\n`);
const from = Number(values.seed ?? values.from);
const seeds = values.seed === undefined ? Number(values.seeds) : 1;
const counters = new Map<string, number>();
const failed: number[] = [];
const startedMs = performance.now();
let events = 0;
for (let seed = from; seed < from + seeds; seed += 1) {
  const run = await runSeed(seed, { told: values.seed !== undefined });
  events += run.events;
  for (const [name, count] of run.counters) counters.set(name, (counters.get(name) ?? 0) + count);
  if (run.violations.length > 0) {
    failed.push(seed);
    write(`seed ${String(seed)}: ${run.violations.join("; ")}`);
    if (values.stop) break;
  }
  if (values.seed !== undefined) {
    for (const line of run.last(Number(values.lines))) write(line);
    for (const violation of run.violations) write(`BROKEN ${violation}`);
    write(`seed ${String(seed)}: ${run.summary}; hash ${run.hash}`);
  }
}
const seconds = (performance.now() - startedMs) / 1000;
for (const [name, count] of [...counters].sort(([a], [b]) => (a < b ? -1 : 1)))
  write(`${name.padEnd(40)} ${String(count)}`);
write(
  `${String(seeds)} seeds, ${String(failed.length)} failed${failed.length > 0 ? `: ${failed.slice(0, 40).join(" ")}` : ""}`,
);
write(
  `${(seeds / seconds).toFixed(1)} seeds/s, ${String(Math.round(events / seeds))} events a seed, ${seconds.toFixed(1)} s`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
