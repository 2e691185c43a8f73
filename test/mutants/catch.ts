import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Found } from "./hunt.ts";
import { MUTANT_VARIABLE, type Mutant, type Prover } from "./mutant.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

/** A mutant that was met by its prover. `where` undefined: it was not caught. */
export type Catch = Found;

/** Runs a mutant's prover with the mutant in it; without a mutant, with none. */
export async function hunt(prover: Prover, mutant?: Mutant): Promise<Catch> {
  const release = await turn();
  try {
    return prover.by === "test" ? await runTest(prover, mutant) : await runHunt(prover, mutant);
  } finally {
    release();
  }
}

async function runHunt(prover: Exclude<Prover, { by: "test" }>, mutant: Mutant | undefined): Promise<Catch> {
  const hunted =
    prover.by === "simulation"
      ? ["simulation", "--seeds", String(prover.seeds)]
      : ["sweep", "--job", prover.job, "--fault", prover.fault];
  const preload = mutant === undefined ? [] : ["--import", join(import.meta.dirname, "plant.ts")];
  const { stdout } = await run(process.execPath, [...preload, join(import.meta.dirname, "hunt.ts"), ...hunted], {
    cwd: root,
    env: environmentOf(mutant),
  });
  return JSON.parse(stdout) as Catch;
}

interface Report {
  readonly testResults: readonly { readonly assertionResults: readonly Assertion[] }[];
}

interface Assertion {
  readonly title: string;
  readonly status: "passed" | "failed" | "skipped";
  readonly failureMessages: readonly string[];
}

async function runTest({ file, says }: Extract<Prover, { by: "test" }>, mutant: Mutant | undefined): Promise<Catch> {
  const startedMs = performance.now();
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const config = join(import.meta.dirname, "vitest.planted.config.ts");
  const folder = await mkdtemp(join(tmpdir(), "millrace-mutant-"));
  const outputFile = join(folder, "report.json");
  try {
    const args = ["run", "--config", config, "--reporter", "json", "--outputFile", outputFile, file];
    await run(process.execPath, [vitest, ...args], { cwd: root, env: environmentOf(mutant) }).catch(failingTests);
    const report = JSON.parse(await readFile(outputFile, "utf8")) as Report;
    return caughtIn(report, file, says, (performance.now() - startedMs) / 1000);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** It ends with 1 where a test fails; anything else is an error. */
function failingTests(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === 1)) throw error;
}

function caughtIn(report: Report, file: string, says: string, seconds: number): Catch {
  const told = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = told.filter(({ title }) => title.startsWith(says));
  if (named.length === 0) throw new Error(`${file} has no test whose name begins with "${says}"`);
  const failed = named.find(({ status }) => status === "failed");
  const problem = failed?.failureMessages[0]?.split("\n")[0] ?? "";
  return { where: failed && `${file}: ${failed.title}`, problem, tried: named.length, seconds };
}

function environmentOf(mutant: Mutant | undefined): NodeJS.ProcessEnv {
  const { VITEST: _, NODE_OPTIONS: __, ...environment } = process.env;
  return mutant === undefined ? environment : { ...environment, [MUTANT_VARIABLE]: mutant.name };
}

let free = availableParallelism();
const waiting: (() => void)[] = [];

/** One hunt for each processor at a time; answers what gives the turn to the next one. */
async function turn(): Promise<() => void> {
  if (free > 0) free -= 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  return () => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
}
