import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import type { Dataset } from "../../services/backends/dataset.ts";
import type { LogStore } from "../../services/backends/log-store.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import type { WorkerPool } from "../../services/backends/worker-pool.ts";
import { Replica } from "../../services/batch-api/driver/replica.ts";
import type { JobService } from "../../services/batch-api/jobs/job-service.ts";
import { createJobService } from "../../services/batch-api/jobs/jobs.ts";
import { splitSource } from "../../services/batch-api/splitter/split-source.ts";
import { noSecret } from "./secrets.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { API } from "./workload.ts";

export interface ServiceParts {
  readonly process: SimulatedProcess;
  readonly store: ObjectStore;
  readonly queue: BatchQueue;
  readonly pool: WorkerPool;
  readonly dataset: Dataset;
  readonly lanes: number;
  readonly alone: boolean;
  readonly pace: ServicePace;
}

/** How often a service looks at its jobs, see `DriverDeps` and `ReplicaOptions`. */
export interface ServicePace {
  readonly tickMs: number;
  readonly tickMinMs: number;
  readonly busyMs: number;
  readonly idleMs: number;
  readonly stallMs?: number;
  readonly tellMs?: number;
}

/** Twenty looks a lease: a laptop has fifty. */
export const OFTEN: ServicePace = { tickMs: 250, tickMinMs: 8, busyMs: 400, idleMs: 1_000 };
/** As `laptop.ts` has it, but for half of the looks. */
export const LAPTOP: ServicePace = { tickMs: 200, tickMinMs: 8, busyMs: 500, idleMs: 1_000, stallMs: 5 * 60_000 };
/** Four. */
export const RARELY: ServicePace = { tickMs: 1_500, tickMinMs: 8, busyMs: 2_500, idleMs: 4_000, tellMs: 3_000 };

/** One replica of the service: the real driver and the real job service in a simulated process. */
export interface SimulatedService {
  readonly process: SimulatedProcess;
  readonly replica: Replica;
  readonly jobs: JobService;
  /** Asks it to leave; resolves when its drivers have stopped where they were. */
  leave(): Promise<void>;
}

/** Logs are no part of the truth. */
export const NO_LOGS: LogStore = {
  append: () => Promise.resolve(),
  read: () => Promise.resolve({ lines: [], cursor: "" }),
  remove: () => Promise.resolve(),
};

/** Small reads, so that a split takes several steps. */
const SIZES = { chunkBytes: 4_096, stepBytes: 256 };

export function startService(parts: ServiceParts): SimulatedService {
  const { process, store, queue, pool, dataset, lanes, alone, pace } = parts;
  const { world, name } = process;
  const tell = (fields: Readonly<Record<string, unknown>>, sentence: string) => {
    const error = fields["err"] instanceof Error ? `: ${fields["err"].name} ${fields["err"].message}` : "";
    noSecret(world, "the service's log", `${sentence}${error} ${JSON.stringify(fields)}`);
    world.tell(name, () => `logs ${sentence}${error}`);
  };
  const replica = new Replica(
    {
      store,
      queue,
      pool,
      clock: process,
      splitterFor: (spec) => splitSource(spec, store, dataset, SIZES),
      say: () => undefined,
      log: { info: tell, warn: tell },
      tickMs: pace.tickMs,
      tickMinMs: pace.tickMinMs,
      ...(pace.stallMs === undefined ? {} : { stallMs: pace.stallMs }),
      ...(pace.tellMs === undefined ? {} : { tellMs: pace.tellMs }),
    },
    {
      id: name,
      apis: () => Promise.resolve([API]),
      lanes,
      busyMs: pace.busyMs,
      idleMs: pace.idleMs,
      alone,
      onFatal: (error) => {
        world.count("replica ends itself");
        process.crash(`by itself: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`);
      },
    },
  );
  const jobs = createJobService({
    store,
    dataset,
    logs: NO_LOGS,
    clock: process,
    random: world.pace.fork(),
    lanes,
    live: (_api, job) => replica.live(job),
    poke: (_api, job) => {
      replica.poke(job);
    },
  });
  const end = new AbortController();
  const running = replica.run(end.signal).catch((error: unknown) => {
    if (!end.signal.aborted) world.broken(`the loop of ${name} ended: ${String(error)}`);
  });
  const leave = async () => {
    process.goOn(() => {
      end.abort();
    });
    await running;
    await replica.drained();
  };
  return { process, replica, jobs, leave };
}
