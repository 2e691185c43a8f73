/**
 * G1b and G1: batches per second from the submission until every outcome is durable and counted, against jobs per second
 * of BullMQ. Both: items of 1 KB, a no-op, two processes that run it. Ours starts its worker and its two Python processes
 * within each round; the peer's are up and connected before.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { realClock } from "../services/backends/clock.real.ts";
import { startBullMq } from "./peers/bullmq.ts";
import type { RedisDurability } from "./peers/redis.ts";
import { compare } from "./rounds.ts";
import type { BenchRow } from "./row.ts";
import { withService, type BenchService } from "./service.ts";

const ROUNDS = 5;
const PROCESSES = 2;
const BATCHES = 100_000;
/** Fewer, as a round of theirs would take 20 s and more otherwise. */
const PEER_JOBS = 10_000;
const ITEM_CHARACTERS = 1_000;
const LOOK_MS = 10;

const HANDLER = `
class Handler:
    def __init__(self, config):
        pass
    def handle_batch(self, payload):
        pass
`;

/** Equal durability: Redis syncs its append-only file before each answer. */
export function g1b(): Promise<BenchRow[]> {
  return throughput("G1b", ">= 4", "always", "BullMQ, appendfsync always");
}

/** The peer keeps nothing on the disk. */
export function g1(): Promise<BenchRow[]> {
  return throughput("G1", ">= 3", "none", "BullMQ without persistence");
}

async function throughput(id: string, bar: string, durability: RedisDurability, peer: string): Promise<BenchRow[]> {
  const bullMq = await startBullMq(durability, PROCESSES);
  try {
    return await withService({ handler: HANDLER, processes: PROCESSES }, async (bench) => {
      writeItems(join(bench.inputs, "items.ndjson"));
      const row = await compare({
        id,
        what: `no-op batches of 1 item of 1 KB, over ${peer}`,
        bar,
        unit: "batches/s",
        rounds: ROUNDS,
        ours: () => round(bench),
        theirs: () => bullMq.round(PEER_JOBS, "x".repeat(ITEM_CHARACTERS)),
      });
      return [row];
    });
  } finally {
    await bullMq.stop();
  }
}

async function round(bench: BenchService): Promise<number> {
  const began = realClock.monotonicMs();
  const job = await bench.submit({ workers: 1, delimited_files: { paths: [bench.inputs], batch_size: 1 } });
  await bench.until(job, ({ counts }) => counts.complete && counts.batches_succeeded === BATCHES, LOOK_MS);
  const seconds = (realClock.monotonicMs() - began) / 1000;
  await bench.until(job, ({ state }) => state === "succeeded");
  return BATCHES / seconds;
}

function writeItems(path: string): void {
  const line = `${JSON.stringify("x".repeat(ITEM_CHARACTERS))}\n`;
  const file = openSync(path, "w");
  for (let written = 0; written < BATCHES; written += 1_000) writeSync(file, line.repeat(1_000));
  closeSync(file);
}
