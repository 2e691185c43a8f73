/**
 * G13: 1,000 batches of unequal length on 8 workers, against the ideal greedy schedule, in which each batch starts, in the
 * order of the input, on the worker that is free first. A unit is a sleep of 1 ms: the machine has fewer cores than workers.
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { rowOf } from "./rounds.ts";
import type { BenchRow } from "./row.ts";
import { withService, type BenchService } from "./service.ts";

const ROUNDS = 5;
const WORKERS = 8;
const BATCHES = 1_000;
const UNITS_MAX = 100;

/** Waits until all workers are up, since their starts are no matter of scheduling; then sleeps, and writes down when. */
const HANDLER = `
import os, time
class Handler:
    def __init__(self, config):
        self.log = open(config["folder"] + "/" + str(os.getpid()), "w")
        while len(os.listdir(config["folder"])) < config["workers"]:
            time.sleep(0.005)
    def handle_batch(self, payload):
        began = time.monotonic_ns()
        time.sleep(payload[0] / 1000)
        print(began, time.monotonic_ns(), file=self.log, flush=True)
`;

export function g13(): Promise<BenchRow[]> {
  return withService({ handler: HANDLER }, async (bench) => {
    const rounds: { readonly ours: number; readonly theirs: number }[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const units = unequal(round);
      rounds.push({ ours: await makespanMs(bench, round, units), theirs: greedyMs(units) });
    }
    return [
      rowOf(
        {
          id: "G13",
          what: "1,000 batches of 1 to 100 ms on 8 workers, first start to last end, over the ideal greedy schedule",
          bar: "<= 1.1",
          unit: "ms",
        },
        rounds,
      ),
    ];
  });
}

/** Lengths in no order, the same in each run. */
function unequal(seed: number): number[] {
  let state = seed + 1;
  return Array.from({ length: BATCHES }, () => {
    state = (state * 48_271) % 2_147_483_647; // Park and Miller's generator
    return 1 + (state % UNITS_MAX);
  });
}

function greedyMs(units: readonly number[]): number {
  const freeAt = Array<number>(WORKERS).fill(0);
  for (const unit of units) freeAt[freeAt.indexOf(Math.min(...freeAt))] = Math.min(...freeAt) + unit;
  return Math.max(...freeAt);
}

async function makespanMs(bench: BenchService, round: number, units: readonly number[]): Promise<number> {
  const folder = join(bench.root, `round-${String(round)}`);
  await mkdir(folder);
  const config = { folder, workers: WORKERS };
  const job = await bench.submit({ workers: WORKERS, config, item_list: { items: units, batch_size: 1 } });
  await bench.until(job, ({ state }) => state === "succeeded", 50);
  const times: number[] = [];
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), "utf8");
    for (const word of text.split(/\s+/)) if (word !== "") times.push(Number(word) / 1e6);
  }
  if (times.length !== 2 * BATCHES) throw new Error(`${String(times.length / 2)} batches ran, not ${String(BATCHES)}`);
  return Math.max(...times) - Math.min(...times);
}
