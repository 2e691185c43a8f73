/** G3 and G3b: JSON lines to stored pointers at the speed of `wc -l`, in flat memory. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, realpathSync, rmSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realClock } from "../services/backends/clock.real.ts";
import { FilesDataset } from "../services/backends/dataset.files.ts";
import { MemoryStore } from "../services/backends/object-store.memory.ts";
import { Splitter } from "../services/batch-api/splitter/splitter.ts";
import type { BenchRow } from "./row.ts";

const ROUNDS = 9;
const MEGABYTE = 1_000_000;
/** Items in a batch; with lines of 300 bytes a batch has about 10 KB. */
const ITEMS_PER_BATCH = 32;

/** Lines of about 300 bytes; answers the file's size. */
function writeLines(path: string, bytes: number): number {
  const block = Buffer.from(
    Array.from(
      { length: 10_000 },
      (_, at) => `${JSON.stringify({ id: at, text: "x".repeat(250 + ((at * 7919) % 60)) })}\n`,
    ).join(""),
  );
  const file = openSync(path, "w");
  let written = 0;
  for (; written < bytes; written += block.length) writeSync(file, block);
  closeSync(file);
  return written;
}

/** Splits a folder of JSON lines so many times over. The store forgets split files when `keep` is false: memory is then the splitter's own. */
async function split(folder: string, keep: boolean, times = 1): Promise<void> {
  const store = new MemoryStore({ clock: realClock });
  const splitter = new Splitter({
    store,
    dataset: new FilesDataset({ roots: [folder], allowOption: "--allow" }),
    spec: {
      api: "bench",
      job: "0000000000000000",
      input: {
        kind: "delimited_files",
        batch_size: ITEMS_PER_BATCH,
        paths: Array<string>(times).fill(folder),
        includes: [],
        excludes: [],
      },
    },
  });
  for (let last: string | undefined; ;) {
    const step = await splitter.step();
    if (step.kind === "ended") return;
    if (step.kind !== "split" || keep) continue;
    // The split before the newest one is not looked at again.
    if (last !== undefined) await store.delete(last);
    last = `apis/bench/jobs/0000000000000000/splits/${String(step.file.split).padStart(8, "0")}.json`;
  }
}

async function seconds(work: () => Promise<void> | void): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function inFolder<T>(measure: (folder: string) => Promise<T>): Promise<T> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bench-splitter-")));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Throughput of the splitter over that of `wc -l` on the same 500 MB. */
export function g3(): Promise<BenchRow[]> {
  return inFolder(async (folder) => {
    const path = join(folder, "lines.ndjson");
    const megabytes = writeLines(path, 500 * MEGABYTE) / MEGABYTE;
    await split(folder, true); // the service is warm when a job comes
    const rounds: { readonly ours: number; readonly theirs: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const theirs = megabytes / (await seconds(() => void execFileSync("wc", ["-l", path])));
      const ours = megabytes / (await seconds(() => split(folder, true)));
      rounds.push({ ours, theirs });
    }
    return [
      {
        id: "G3",
        what: "JSON lines of 300 bytes to stored pointers, over wc -l",
        ours: median(rounds.map(({ ours }) => ours)),
        theirs: median(rounds.map(({ theirs }) => theirs)),
        ratio: median(rounds.map(({ ours, theirs }) => ours / theirs)),
        bar: ">= 0.5",
        unit: "MB/s",
      },
    ];
  });
}

/** Peak memory of a process that splits `gigabytes`, over that of one that splits 0.1 GB. `gigabytes` defaults to 5. */
export async function g3b(gigabytes = 5): Promise<BenchRow[]> {
  const [ours, theirs] = [await peakMegabytes(gigabytes), await peakMegabytes(0.1)];
  const row = { id: "G3b", ours, unit: "MB" };
  return [
    {
      ...row,
      what: `peak memory at ${String(gigabytes)} GB, over that at 0.1 GB`,
      theirs,
      ratio: ours / theirs,
      bar: "<= 1.15",
    },
    {
      ...row,
      what: `peak memory at ${String(gigabytes)} GB, over 150 MB`,
      theirs: 150,
      ratio: ours / 150,
      bar: "<= 1",
    },
  ];
}

/** Resident memory at its peak, in a process of its own. */
function peakMegabytes(gigabytes: number): Promise<number> {
  return inFolder((folder) => {
    // One file that is listed ten times over, so that 5 GB need not lie on the disk.
    const bytes = writeLines(join(folder, "lines.ndjson"), Math.min(gigabytes, 0.5) * 1000 * MEGABYTE);
    const times = Math.max(1, Math.round((gigabytes * 1000 * MEGABYTE) / bytes));
    const answer = execFileSync(process.execPath, [fileURLToPath(import.meta.url), folder, String(times)]);
    return Promise.resolve(Number(answer.toString()) / 1000);
  });
}

const [, started, folder, times] = process.argv;
if (started === fileURLToPath(import.meta.url) && folder !== undefined) {
  await split(folder, false, Number(times));
  process.stdout.write(String(process.resourceUsage().maxRSS));
}
