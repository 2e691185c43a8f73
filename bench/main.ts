/**
 * `npm run bench [-- G1b G7 …]`: the goals' measurements, ours against a peer's in interleaved rounds of one run. Prints a
 * table; a run of all of them is kept in bench/results.md.
 */
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { g14 } from "./driver-ledgers.ts";
import { g7, g7b, g7c } from "./first-batch.ts";
import { g2 } from "./handler-overhead.ts";
import { g13 } from "./makespan.ts";
import { ServerMissing } from "./peers/s3-server.ts";
import { keepsBar, type BenchRow } from "./row.ts";
import { g3, g3b } from "./splitter.ts";
import { g3c } from "./splitter-s3.ts";
import { g12 } from "./sqs.ts";
import { g1, g1b } from "./throughput.ts";

const BENCHES: Readonly<Record<string, () => Promise<BenchRow[]>>> = {
  G1b: g1b,
  G1: g1,
  G2: g2,
  G3: g3,
  G3b: g3b,
  G3c: g3c,
  G7: g7,
  G7b: g7b,
  G7c: g7c,
  G12: g12,
  G13: g13,
  G14: g14,
};

const RESULTS = join(import.meta.dirname, "results.md");
const HEAD = ["goal", "what", "ours", "peer", "unit", "ratio", "min to max", "bar", ""];

async function main(asked: readonly string[]): Promise<number> {
  const unknown = asked.filter((id) => BENCHES[id] === undefined);
  if (unknown.length > 0) {
    process.stderr.write(`no bench is called ${unknown.join(", ")}; there are ${Object.keys(BENCHES).join(", ")}\n`);
    return 2;
  }
  const machine = describeMachine();
  process.stdout.write(`${machine}\n`);
  if (load() > 1) process.stderr.write("The machine is busy with something else: only the ratios mean anything.\n");
  const rows: BenchRow[] = [];
  for (const [id, bench] of Object.entries(BENCHES)) {
    if (asked.length > 0 && !asked.includes(id)) continue;
    for (const row of await bench().catch(leftOut(id))) {
      rows.push(row);
      process.stdout.write(`${cells(row).join("  ")}\n`);
    }
  }
  if (asked.length === 0) await writeFile(RESULTS, document(machine, rows));
  return 0;
}

/** What lacks a server is left out, with a word; anything else ends the run. */
function leftOut(id: string): (error: unknown) => [] {
  return (error) => {
    if (!(error instanceof ServerMissing)) throw error;
    process.stderr.write(`${id} is left out: ${error.message}\n`);
    return [];
  };
}

/** The machine in words, without its name. */
function describeMachine(): string {
  const memory = `${String(Math.round(totalmem() / 2 ** 30))} GB of memory`;
  const python = execFileSync("python3", ["--version"], { encoding: "utf8" }).trim();
  const versions = `Node ${process.versions.node}, ${python}`;
  return `${String(availableParallelism())} cores shared with others, ${memory}; ${versions}; load average at the start ${load().toFixed(1)}.`;
}

function load(): number {
  return loadavg()[0] ?? 0;
}

function document(machine: string, rows: readonly BenchRow[]): string {
  const table = [HEAD, HEAD.map(() => "---"), ...rows.map(cells)].map((row) => `| ${row.join(" | ")} |`);
  return [
    "# What the benches measured",
    "",
    "Written by `npm run bench`. Rounds of ours and of the peer's alternate in one run; ours and peer are medians, the",
    "ratio is that of the medians, with the smallest and the largest ratio of one round. On a noisy machine the absolute",
    "figures say little, the ratios more.",
    "",
    machine,
    "",
    ...table,
    "",
  ].join("\n");
}

function cells(row: BenchRow): string[] {
  const spread = row.rounds === 1 ? "one round" : `${figure(row.ratioMin)} to ${figure(row.ratioMax)}`;
  const kept = keepsBar(row) ? "kept" : "missed";
  return [row.id, row.what, figure(row.ours), figure(row.theirs), row.unit, figure(row.ratio), spread, row.bar, kept];
}

/** Three digits, without an exponent. */
function figure(value: number): string {
  return value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

process.exitCode = await main(process.argv.slice(2));
process.exit();
