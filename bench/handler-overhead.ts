/**
 * G2, G2b, G2c: what a batch costs beyond the handler's own work, against a bare Python loop over the same batches in
 * one process. The loop decodes each batch as the host does: with the host's own decoder, with orjson where the host finds
 * it, under the host's malloc settings. What is left is the price of the frames, the socket and the supervisor.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { realClock, realRandom } from "../services/backends/clock.real.ts";
import { MALLOC_ENVIRONMENT, startPythonHandler } from "../services/worker/handlers/handler.python.ts";
import { pipeDepth } from "../services/worker/pipe-depth.ts";
import { compare } from "./rounds.ts";
import type { BenchRow } from "./row.ts";

const PYTHON_PATH = fileURLToPath(new URL("../services/worker/python", import.meta.url));
const HOST = join(PYTHON_PATH, "millrace_host", "__main__.py");
const ROUNDS = 5;
/** Works for so long without sleeping: a sleep's own error would hide what is measured. */
const HANDLER = `
import time
class Handler:
    def __init__(self, config):
        self.seconds = config["seconds"]
    def handle_batch(self, payload):
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
`;

const BARE_LOOP = `
import sys, time
sys.path[:0] = [sys.argv[1], sys.argv[4]]
from handler import Handler
from millrace_host.items import Decoder, find_orjson
seconds, batches, items = float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5])
with open(sys.argv[1] + "/batch.json", "rb") as file:
    body = file.read()
handler, decode = Handler({"seconds": seconds}), Decoder(find_orjson()).decode
began = time.perf_counter()
for _ in range(batches):
    handler.handle_batch(payload=decode(body, items))
print(time.perf_counter() - began)
`;

interface Case {
  readonly id: string;
  readonly what: string;
  readonly bar: string;
  readonly handlerSeconds: number;
  /** About what a batch takes in all, milliseconds: the worker keeps as many in the pipe as this says. */
  readonly batchMs: number;
  readonly batches: number;
  readonly items: readonly unknown[];
}

const smallDicts = (count: number): unknown[] =>
  Array.from({ length: count }, (_, index) => ({ id: index, name: `item ${String(index)}`, score: index / 7 }));

const CASES: readonly Case[] = [
  {
    id: "G2",
    what: "1 ms handler, 32 small dicts a batch, against a bare loop",
    bar: "<= 1.05",
    handlerSeconds: 0.001,
    batchMs: 1,
    batches: 1_500,
    items: smallDicts(32),
  },
  {
    id: "G2b",
    what: "10 ms handler, 32 small dicts a batch, against a bare loop",
    bar: "<= 1.015",
    handlerSeconds: 0.01,
    batchMs: 10,
    batches: 150,
    items: smallDicts(32),
  },
  {
    id: "G2c",
    what: "no-op handler, 1 MB of JSON a batch, against a bare loop",
    bar: "<= 2.2",
    handlerSeconds: 0,
    batchMs: 8,
    batches: 100,
    items: smallDicts(17_500),
  },
];

export async function g2(): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const measured of CASES) rows.push(await measure(measured));
  return rows;
}

async function measure(measured: Case): Promise<BenchRow> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-bench-"));
  try {
    const body = Buffer.from(JSON.stringify(measured.items));
    await writeFile(join(folder, "handler.py"), HANDLER);
    await writeFile(join(folder, "batch.json"), body);
    return await compare({
      id: measured.id,
      what: measured.what,
      bar: measured.bar,
      unit: "ms per batch",
      rounds: ROUNDS,
      ours: () => throughHandler(folder, measured, body),
      theirs: () => bareLoop(folder, measured),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Milliseconds a batch, from the first one handed over to the last answer. */
async function throughHandler(folder: string, measured: Case, body: Buffer): Promise<number> {
  const handler = startPythonHandler({
    python: "python3",
    hostPath: HOST,
    env: { PATH: process.env.PATH ?? "" },
    processIndex: 0,
    output: () => undefined,
    clock: realClock,
    random: realRandom,
  });
  try {
    await handler.start({
      project: folder,
      path: "handler.py",
      python_path: null,
      config: { seconds: measured.handlerSeconds },
      job_spec: {},
      log_level: "info",
      cortex_project: false,
    });
    const began = realClock.monotonicMs();
    let next = 0;
    const one = async (): Promise<void> => {
      while (next < measured.batches) {
        next += 1;
        const answer = await handler.run(
          { batch_id: `batch-${String(next)}`, attempt: 1, items: measured.items.length, first: 0 },
          body,
        );
        if (answer.kind !== "done") throw new Error(`a batch of the bench was answered ${answer.kind}`);
      }
    };
    await Promise.all(Array.from({ length: pipeDepth(measured.batchMs) }, one));
    return (realClock.monotonicMs() - began) / measured.batches;
  } finally {
    await handler.close();
  }
}

async function bareLoop(folder: string, measured: Case): Promise<number> {
  const { handlerSeconds, batches, items } = measured;
  const args = [folder, String(handlerSeconds), String(batches), PYTHON_PATH, String(items.length)];
  const { stdout } = await promisify(execFile)("python3", ["-I", "-c", BARE_LOOP, ...args], {
    env: { ...process.env, ...MALLOC_ENVIRONMENT },
  });
  return (Number(stdout) * 1000) / measured.batches;
}
