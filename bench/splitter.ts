/** G3 and G3b: JSON lines to stored pointers at the speed of `wc -l`, in flat memory. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { realClock } from "../services/backends/clock.real.ts";
import type { Dataset } from "../services/backends/dataset.ts";
import { FilesDataset } from "../services/backends/dataset.files.ts";
import { MemoryStore } from "../services/backends/object-store.memory.ts";
import { Splitter } from "../services/batch-api/splitter/splitter.ts";
import { writeLines } from "./lines.ts";
import { compare, rowOf } from "./rounds.ts";
import type { BenchRow } from "./row.ts";

const ROUNDS = 9;
const MEGABYTE = 1_000_000;
/** Items in a batch; with lines of 300 bytes a batch has about 10 KB. */
const ITEMS_PER_BATCH = 32;

/** Splits a folder of JSON lines. */
function split(folder: string, keep: boolean): Promise<void> {
  return splitOf(new FilesDataset({ roots: [folder], allowOption: "--allow" }), folder, keep);
}

/** Splits JSON lines. The store forgets split files when `keep` is false: memory is then the splitter's own. */
export async function splitOf(dataset: Dataset, path: string, keep: boolean): Promise<void> {
  const store = new MemoryStore({ clock: realClock });
  const splitter = new Splitter({
    store,
    dataset,
    spec: {
      api: "bench",
      job: "0000000000000000",
      input: {
        kind: "delimited_files",
        batch_size: ITEMS_PER_BATCH,
        paths: [path],
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

export async function seconds(work: () => Promise<void> | void): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
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
    return [
      await compare({
        id: "G3",
        what: "JSON lines of 300 bytes to stored pointers, over wc -l",
        bar: ">= 0.5",
        unit: "MB/s",
        rounds: ROUNDS,
        ours: async () => megabytes / (await seconds(() => split(folder, true))),
        theirs: async () => megabytes / (await seconds(() => void execFileSync("wc", ["-l", path]))),
      }),
    ];
  });
}

/** Peak memory of a process that splits 5 GB, over that of one that splits 0.1 GB. */
export async function g3b(): Promise<BenchRow[]> {
  const [ours, theirs] = [await peakMegabytes(5), await peakMegabytes(0.1)];
  const row = { id: "G3b", unit: "MB" };
  return [
    rowOf({ ...row, what: "peak memory of the splitter at 5 GB, over that at 0.1 GB", bar: "<= 1.15" }, [
      { ours, theirs },
    ]),
    rowOf({ ...row, what: "peak memory of the splitter at 5 GB, over 150 MB", bar: "<= 1" }, [{ ours, theirs: 150 }]),
  ];
}

/** Resident memory at its peak, in a process of its own. */
function peakMegabytes(gigabytes: number): Promise<number> {
  return inFolder((folder) => {
    const bytes = gigabytes * 1000 * MEGABYTE;
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize < 2 * bytes)
      throw new Error(`the disk has no room for ${String(gigabytes)} GB of generated input`);
    writeLines(join(folder, "lines.ndjson"), bytes);
    const answer = execFileSync(process.execPath, [fileURLToPath(import.meta.url), folder]);
    return Promise.resolve(Number(answer.toString()) / 1000);
  });
}

const [, started, folder] = process.argv;
if (started === fileURLToPath(import.meta.url) && folder !== undefined) {
  await split(folder, false);
  process.stdout.write(String(process.resourceUsage().maxRSS));
}
