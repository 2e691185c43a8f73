/**
 * G7, G7b, G7c: how soon work begins, and how soon a job is over. Times are read from one clock of the system
 * (CLOCK_MONOTONIC) by this process and by the handler, which writes them down.
 */
import { execFileSync } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeLines } from "./lines.ts";
import { compare, rowOf } from "./rounds.ts";
import type { BenchRow } from "./row.ts";
import { withService, type BenchService } from "./service.ts";

const ROUNDS = 7;
const HOST = fileURLToPath(new URL("../services/worker/python", import.meta.url));
const MEGABYTE = 1_000_000;

/** Writes down when its first batch began, when its last one so far ended, and when the hook began. */
const HANDLER = `
import time
class Handler:
    def __init__(self, config):
        self.folder, self.first = config["folder"], True
    def say(self, what):
        with open(self.folder + "/" + what, "w") as file:
            file.write(str(time.monotonic_ns()))
    def handle_batch(self, payload):
        if self.first:
            self.say("first")
        self.first = False
        self.ended = time.monotonic_ns()
    def on_job_complete(self):
        self.say("hook")
        with open(self.folder + "/last", "w") as file:
            file.write(str(self.ended))
`;

/** From the submission to the first `handle_batch`, over the bare starts of the two processes that it takes. */
export function g7(): Promise<BenchRow[]> {
  return withService({ handler: HANDLER }, async (bench) => {
    const clock = folders(bench);
    const body = { item_list: { items: [1], batch_size: 1 } };
    await untilFirstBatch(bench, clock, body); // the service is warm, and so is the cache of compiled code
    return [
      await compare({
        id: "G7",
        what: "submission to first handle_batch (child processes cold), over `node -e 0` and a bare Python with the host's imports",
        bar: "<= 2.5",
        unit: "ms",
        rounds: ROUNDS,
        ours: () => untilFirstBatch(bench, clock, body),
        theirs: () => Promise.resolve(bareStarts()),
      }),
    ];
  });
}

/** The first batch of a large dataset comes as soon as that of a small one. */
export function g7b(): Promise<BenchRow[]> {
  return withService({ handler: HANDLER }, async (bench) => {
    const clock = folders(bench);
    const submission = async (name: string, bytes: number) => {
      const folder = join(bench.inputs, name);
      await mkdir(folder);
      writeLines(join(folder, "lines.ndjson"), bytes);
      return { delimited_files: { paths: [folder], batch_size: 32 } };
    };
    const large = await submission("large", 1_000 * MEGABYTE);
    const small = await submission("small", MEGABYTE);
    await untilFirstBatch(bench, clock, small);
    return [
      await compare({
        id: "G7b",
        what: "submission to first handle_batch of 1 GB of JSON lines, over 1 MB",
        bar: "<= 1.5",
        unit: "ms",
        rounds: ROUNDS,
        ours: () => untilFirstBatch(bench, clock, large),
        theirs: () => untilFirstBatch(bench, clock, small),
      }),
    ];
  });
}

/** From the end of the last batch until the completion hook begins, and until the final state can be read. */
export function g7c(): Promise<BenchRow[]> {
  return withService({ handler: HANDLER }, async (bench) => {
    const clock = folders(bench);
    const toHook: { readonly ours: number; readonly theirs: number }[] = [];
    const toFinal: { readonly ours: number; readonly theirs: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const folder = await clock();
      const items = Array.from({ length: 100 }, (_, index) => index);
      const job = await bench.submit({ config: { folder }, item_list: { items, batch_size: 1 } });
      await bench.until(job, ({ state }) => state === "succeeded");
      const finalMs = monotonicMs();
      const lastMs = await saidMs(folder, "last");
      toHook.push({ ours: (await saidMs(folder, "hook")) - lastMs, theirs: 100 });
      toFinal.push({ ours: finalMs - lastMs, theirs: 200 });
    }
    const row = { id: "G7c", bar: "<= 1", unit: "ms" };
    return [
      rowOf({ ...row, what: "end of the last batch to the start of on_job_complete, over 100 ms" }, toHook),
      rowOf({ ...row, what: "end of the last batch to the final state, over 200 ms" }, toFinal),
    ];
  });
}

/** A new folder for each job's times. */
function folders({ root }: BenchService): () => Promise<string> {
  let jobs = 0;
  return async () => {
    jobs += 1;
    const folder = join(root, `times-${String(jobs)}`);
    await mkdir(folder);
    return folder;
  };
}

/** Milliseconds from the submission; the job is stopped then. */
async function untilFirstBatch(
  bench: BenchService,
  newFolder: () => Promise<string>,
  body: Readonly<Record<string, unknown>>,
): Promise<number> {
  const folder = await newFolder();
  const began = monotonicMs();
  const job = await bench.submit({ workers: 1, config: { folder }, ...body });
  await bench.until(job, ({ counts }) => counts.batches_succeeded > 0, 10);
  await bench.stop(job);
  return (await saidMs(folder, "first")) - began;
}

async function saidMs(folder: string, what: string): Promise<number> {
  return Number(await readFile(join(folder, what), "utf8")) / 1e6;
}

function bareStarts(): number {
  const began = monotonicMs();
  execFileSync(process.execPath, ["-e", "0"]);
  execFileSync("python3", [
    "-I",
    "-c",
    `import sys; sys.path.insert(0, ${JSON.stringify(HOST)}); import millrace_host.host`,
  ]);
  return monotonicMs() - began;
}

/** The system's own monotonic clock, which Python reads as well. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
