/**
 * BullMQ on a Redis server: jobs of 1 KB added in bulk, worked off by worker processes with a no-op processor. Tuned to
 * be fast: bulk adds, many jobs in work at once, finished jobs removed.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { realClock } from "../../services/backends/clock.real.ts";
import { startRedis, type RedisDurability } from "./redis.ts";

const WORKER = fileURLToPath(new URL("bullmq-worker.ts", import.meta.url));
const QUEUE = "bench";
const BULK = 1_000;

export interface BullMq {
  /** Jobs per second, from the first add to the end of the last job. */
  round(jobs: number, payload: string): Promise<number>;
  stop(): Promise<void>;
}

/** Starts Redis and so many worker processes; they are connected when it resolves. */
export async function startBullMq(durability: RedisDurability, workerProcesses: number): Promise<BullMq> {
  const redis = await startRedis(durability);
  const connection = new Redis(redis.port, "127.0.0.1", { maxRetriesPerRequest: null });
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true, removeOnFail: true } });
  await queue.waitUntilReady();
  const workers: ChildProcess[] = [];
  for (let started = 0; started < workerProcesses; started += 1) {
    const worker = fork(WORKER, [String(redis.port), QUEUE]);
    await once(worker, "message");
    workers.push(worker);
  }
  return {
    round: (jobs, payload) => round(queue, workers, jobs, payload),
    stop: async () => {
      for (const worker of workers) {
        const ended = once(worker, "exit");
        worker.kill("SIGKILL");
        await ended;
      }
      await queue.close();
      await connection.quit();
      await redis.stop();
    },
  };
}

async function round(queue: Queue, workers: readonly ChildProcess[], jobs: number, payload: string): Promise<number> {
  const began = realClock.monotonicMs();
  const done = untilDone(workers, jobs);
  for (let added = 0; added < jobs; added += BULK) {
    const bulk = Array.from({ length: Math.min(BULK, jobs - added) }, () => ({ name: "job", data: payload }));
    await queue.addBulk(bulk);
  }
  await done;
  return (jobs * 1000) / (realClock.monotonicMs() - began);
}

/** The workers tell now and then how many jobs have completed since they told last. */
function untilDone(workers: readonly ChildProcess[], jobs: number): Promise<void> {
  return new Promise((resolve) => {
    let completed = 0;
    const hear = (message: unknown): void => {
      completed += Number(message);
      if (completed < jobs) return;
      for (const worker of workers) worker.off("message", hear);
      resolve();
    };
    for (const worker of workers) worker.on("message", hear);
  });
}
