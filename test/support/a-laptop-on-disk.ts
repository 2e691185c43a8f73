/**
 * A laptop's service and its workers in this process: the real job service, driver, splitter, queue and worker loop, over
 * the real file store on a disk in memory and a virtual clock. For what becomes of a job when that disk fails.
 */
import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import type { Random } from "../../services/backends/clock.ts";
import { openFileStore, type FileStore } from "../../services/backends/object-store.files.ts";
import { Replica } from "../../services/batch-api/driver/replica.ts";
import type { JobService } from "../../services/batch-api/jobs/job-service.ts";
import { createJobService } from "../../services/batch-api/jobs/jobs.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { splitSource } from "../../services/batch-api/splitter/split-source.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { aVersion } from "./builders.ts";
import { InProcessPool } from "./in-process-pool.ts";
import { MemoryDataset } from "./memory-dataset.ts";
import type { PowerDisk } from "./power-disk.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const DISK_API = "disk";
const ROOT = "/store";
const LEASE_SECONDS = 5;
const STEP_MS = 250;
const WORKER_PACE = {
  pollSeconds: 0.5,
  laneReadSeconds: 1,
  flushSeconds: 0.004,
  flushSecondsPerWorker: 0,
  drainSeconds: 2,
};
const NO_LOGS = {
  append: () => Promise.resolve(),
  read: () => Promise.resolve({ lines: [], cursor: "" }),
  remove: () => Promise.resolve(),
};

/** Deploys the API onto an empty disk. */
export async function deployOn(disk: PowerDisk): Promise<void> {
  const store = await openFileStore({ root: ROOT, files: disk });
  const version = aVersion({ api: DISK_API });
  const keys = apiKeys(DISK_API);
  await store.put(keys.version(version.version), encodeStored(version));
  await store.swap(keys.current, encodeStored({ version: version.version, generation: 1 }), undefined);
  await store.close();
}

export class LaptopOnDisk {
  readonly store: FileStore;
  readonly jobs: JobService;
  readonly pool: InProcessPool;
  /** What ended the service, as its process would say it. */
  fatal: unknown;
  readonly #clock = new VirtualClock();
  readonly #replica: Replica;
  readonly #end = new AbortController();
  readonly #running: Promise<unknown>;

  private constructor(disk: PowerDisk, store: FileStore, random: Random) {
    this.store = store;
    const clock = this.#clock;
    const queue = new MemoryQueue({
      ...{ clock, leaseSeconds: LEASE_SECONDS },
      onActivity: () => {
        this.#replica.wakeAll();
      },
    });
    const dataset = new MemoryDataset();
    this.pool = new InProcessPool({
      ...{ queue, dataset, clock, random, pace: WORKER_PACE },
      openStore: () => openFileStore({ root: ROOT, files: disk, random }),
      onEnded: (job) => {
        this.#replica.wakeDriver(job);
      },
    });
    this.#replica = this.#replicaOn(store, queue, dataset, random.hex(8));
    this.jobs = createJobService({
      ...{ store, dataset, logs: NO_LOGS, clock, random, lanes: 1 },
      live: (_api, job) => this.#replica.live(job),
      poke: (_api, job) => {
        this.#replica.poke(job);
      },
    });
    this.#running = this.#replica.run(this.#end.signal).catch(() => undefined); // ended by its own signal
  }

  /** Starts a service, the only one, on what lies there. `number` tells its processes from those of other starts. */
  static async start(disk: PowerDisk, number: number): Promise<LaptopOnDisk> {
    const random = counting(number);
    return new LaptopOnDisk(disk, await openFileStore({ root: ROOT, files: disk, random }), random);
  }

  /** Lets time pass until it is so; false when that takes too long, or the service has ended. */
  async until(is: () => Promise<boolean> | boolean, seconds = 120): Promise<boolean> {
    for (let atMs = 0; atMs < seconds * 1000; atMs += STEP_MS) {
      if (await is()) return true;
      if (this.fatal !== undefined) return false;
      await this.#clock.advance(STEP_MS);
    }
    return false;
  }

  /** Ends service and workers as a signal does. */
  async stop(): Promise<void> {
    this.#end.abort(new Error("the test stops the service"));
    const end = { isOver: false };
    const ended = Promise.all([this.#running, this.#replica.drained(), this.pool.close()]).finally(() => {
      end.isOver = true;
    });
    for (let atMs = 0; atMs < 60_000 && !end.isOver; atMs += STEP_MS) await this.#clock.advance(STEP_MS);
    if (!end.isOver) throw new Error("the service does not end");
    await ended;
    await this.store.close();
  }

  #replicaOn(store: FileStore, queue: MemoryQueue, dataset: MemoryDataset, id: string): Replica {
    return new Replica(
      {
        ...{ store, queue, pool: this.pool, clock: this.#clock },
        splitterFor: (spec) => splitSource(spec, store, dataset),
        say: () => undefined,
        log: { info: () => undefined, warn: () => undefined },
        ...{ tickMs: 500, tickMinMs: 8 },
      },
      {
        ...{ id, apis: () => Promise.resolve([DISK_API]), lanes: 1, busyMs: 500, idleMs: 500, alone: true },
        onFatal: (error) => {
          this.fatal ??= error;
          this.#end.abort(new Error("the service has ended"));
        },
      },
    );
  }
}

/** Never the same twice, nor the same as that of another start. */
function counting(number: number): Random {
  let drawn = 0;
  return {
    hex(bytes) {
      drawn += 1;
      return number.toString(16).padStart(2, "0") + drawn.toString(16).padStart(2 * bytes - 2, "0");
    },
    fraction: () => 0.5,
  };
}
