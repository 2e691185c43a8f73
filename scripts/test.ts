// npm test [-- files…]: runs every layer of tests, prints the counts by layer, and fails when a layer ran fewer tests than
// test/floors.json keeps or skipped one that the file does not name. With files, runs only those and asks for no floor.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { allLayers, type Layer } from "./layers.ts";
import { type Floors, type LayerCounts, faultsOf, raised, summaryLines } from "./test-counts.ts";
import { countsFromPytest, countsFromVitest } from "./test-results.ts";

const floorsFile = "test/floors.json";
const resultsFolder = ".cache/test-results";
const vitestResults = `${resultsFolder}/vitest.json`;
const pytestResults = `${resultsFolder}/pytest.xml`;

async function run(file: string, args: readonly string[]): Promise<number> {
  const child = spawn(file, args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve(code ?? 1);
    });
  });
}

async function runPytest(files: readonly string[]): Promise<LayerCounts> {
  // 5: pytest found no test at all, which the floor judges
  const status = await run(".venv/bin/python", ["-m", "pytest", "--quiet", `--junitxml=${pytestResults}`, ...files]);
  return countsFromPytest(readFileSync(pytestResults, "utf8"), status === 5 ? 0 : status);
}

async function runVitest(files: readonly string[]): Promise<Map<Layer, LayerCounts>> {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${vitestResults}`];
  const status = await run("vitest", ["run", ...reporters, ...files]);
  const relativeToHere = (path: string): string => relative(process.cwd(), path);
  return countsFromVitest(readFileSync(vitestResults, "utf8"), status, relativeToHere);
}

const raise = process.argv.includes("--raise-floors");
const files = process.argv.slice(2).filter((argument) => argument !== "--raise-floors");
const pythonFiles = files.filter((file) => file.startsWith("test/python"));
const vitestFiles = files.filter((file) => !file.startsWith("test/python"));
const floors = JSON.parse(readFileSync(floorsFile, "utf8")) as Floors;

rmSync(resultsFolder, { recursive: true, force: true }); // results of an earlier run must never be read as this one's
mkdirSync(resultsFolder, { recursive: true });
const counts = new Map<Layer, LayerCounts>();
if (files.length === 0 || pythonFiles.length > 0) counts.set("python", await runPytest(pythonFiles));
if (files.length === 0 || vitestFiles.length > 0) {
  for (const [layer, layerCounts] of await runVitest(vitestFiles)) counts.set(layer, layerCounts);
}

const asked = allLayers.filter((layer) => files.length === 0 || counts.has(layer));
const faults = files.length === 0 ? faultsOf(counts, floors) : [];
process.stdout.write(summaryLines(asked, counts, floors, faults).join("\n") + "\n");
const failed = faults.length + asked.reduce((sum, layer) => sum + (counts.get(layer)?.failed ?? 0), 0);
process.exitCode = failed > 0 ? 1 : 0;
if (raise && failed === 0) {
  writeFileSync(floorsFile, `${JSON.stringify(raised(floors, counts), undefined, 2)}\n`);
  process.stdout.write(`${floorsFile} raised to these counts\n`);
}
