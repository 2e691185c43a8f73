import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { layersOf, type Layer, type TestCommand } from "./layers.ts";
import { type Floors, type LayerCounts, faultsOf, raised, summaryLines } from "./test-counts.ts";
import { countsFromPytest, countsFromVitest } from "./test-results.ts";

const floorsFile = "test/floors.json";

/** One run of tests. */
interface TestRun {
  readonly command: TestCommand;
  /** vitest's configuration. */
  readonly config: string;
  /** Files or folders to run alone, and `--raise-floors`. */
  readonly args: readonly string[];
  /** Whether this machine allows a skip that the floors do not name, by the test's full name. */
  readonly mayBeSkippedHere?: (fullName: string) => boolean;
}

/**
 * Runs the layers of a command, prints the counts by layer, and says whether all is well: it is not when a layer ran fewer tests than
 * `test/floors.json` keeps or skipped one that the file does not name. With files, runs only those and asks for no floor.
 *
 * @returns the exit status
 */
export async function runTests({ command, config, args, mayBeSkippedHere }: TestRun): Promise<number> {
  const raise = args.includes("--raise-floors");
  const files = args.filter((argument) => argument !== "--raise-floors");
  const floors = JSON.parse(readFileSync(floorsFile, "utf8")) as Floors;
  const results = `.cache/test-results/${command.replace(":", "-")}`;
  rmSync(results, { recursive: true, force: true }); // results of an earlier run must never be read as this one's
  mkdirSync(results, { recursive: true });

  const ours = layersOf(command);
  const pythonFiles = files.filter((file) => file.startsWith("test/python"));
  const vitestFiles = files.filter((file) => !file.startsWith("test/python"));
  const counts = new Map<Layer, LayerCounts>();
  if (ours.includes("python") && (files.length === 0 || pythonFiles.length > 0))
    counts.set("python", await runPytest(pythonFiles, `${results}/pytest.xml`));
  if (files.length === 0 || vitestFiles.length > 0) {
    const report = `${results}/vitest.json`;
    const status = await runVitest(config, vitestFiles, report);
    const relativeToHere = (path: string): string => relative(process.cwd(), path);
    const ofVitest = countsFromVitest(readFileSync(report, "utf8"), status, relativeToHere, ours[0]);
    for (const [layer, layerCounts] of ofVitest) counts.set(layer, layerCounts);
  }

  const asked = ours.filter((layer) => files.length === 0 || counts.has(layer));
  const faults = files.length === 0 ? faultsOf(counts, floors, asked, mayBeSkippedHere) : [];
  process.stdout.write(summaryLines(asked, counts, floors, faults).join("\n") + "\n");
  const failed = faults.length + asked.reduce((sum, layer) => sum + (counts.get(layer)?.failed ?? 0), 0);
  if (raise && failed === 0) {
    writeFileSync(floorsFile, `${JSON.stringify(raised(floors, counts), undefined, 2)}\n`);
    process.stdout.write(`${floorsFile} raised to these counts\n`);
  }
  return failed > 0 ? 1 : 0;
}

async function runPytest(files: readonly string[], junit: string): Promise<LayerCounts> {
  // 5: pytest found no test at all, which the floor judges
  const status = await run(".venv/bin/python", ["-m", "pytest", "--quiet", `--junitxml=${junit}`, ...files]);
  return countsFromPytest(readFileSync(junit, "utf8"), status === 5 ? 0 : status);
}

async function runVitest(config: string, files: readonly string[], report: string): Promise<number> {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return run("vitest", ["run", "--config", config, ...reporters, ...files]);
}

/** Runs a program on this terminal; resolves with its exit status. */
export async function run(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve(code ?? 1);
    });
  });
}
