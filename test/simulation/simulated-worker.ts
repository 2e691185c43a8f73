import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import type { Dataset } from "../../services/backends/dataset.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import type { GenerationName } from "../../services/backends/worker-pool.ts";
import { readObject } from "../../services/batch-api/jobs/stored.ts";
import { JOB_FORMAT, type JobSpec } from "../../services/protocol/jobs.ts";
import { jobKeys, queueLane } from "../../services/protocol/keys.ts";
import { HandlerStartFailed } from "../../services/worker/handlers/handler.ts";
import { Worker } from "../../services/worker/worker.ts";
import { SimulatedHandler, type Deeds } from "./simulated-handler.ts";
import { noSecret } from "./secrets.ts";
import type { RunningWorker } from "./simulated-pool.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

export interface WorkerParts {
  readonly process: SimulatedProcess;
  readonly store: ObjectStore;
  readonly queue: BatchQueue;
  readonly dataset: Dataset;
  readonly name: GenerationName;
  readonly index: number;
  readonly worker: string;
  readonly processes: number;
  readonly pollSeconds: number;
  readonly hook: boolean;
  readonly startFails: () => boolean;
  readonly deeds: Deeds;
  readonly onExit: (code: number) => void;
}

/** Starts the real worker loop in a simulated process. */
export function startWorker(parts: WorkerParts): RunningWorker {
  const { process, onExit } = parts;
  let program: Worker | undefined;
  const exit = (code: number) => {
    if (process.isDead) return;
    process.world.tell(process.name, () => `exits with ${String(code)}`);
    process.end();
    onExit(code);
  };
  const live = async () => {
    const { api, job } = parts.name;
    await process.sleep(process.world.pace.skewed(20, 500));
    const spec = await readObject<JobSpec>(parts.store, jobKeys(api, job).spec, JOB_FORMAT);
    if (spec === undefined) throw new Error(`job ${job} has no spec`);
    program = workerOf(parts, spec);
    return program.run();
  };
  live().then(exit, (error: unknown) => {
    process.world.tell(
      process.name,
      () => `breaks: ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}`,
    );
    exit(1);
  });
  const leave = (kind: "drain" | "lost") => {
    process.goOn(() => {
      if (program === undefined) exit(1);
      else program.leave({ kind });
    });
  };
  return {
    process,
    drain: () => {
      leave("drain");
    },
    lose: () => {
      leave("lost");
    },
  };
}

function workerOf(parts: WorkerParts, spec: JobSpec): Worker {
  const { process, name, index, worker } = parts;
  const { world } = process;
  const { api, job, lane, epoch, generation } = name;
  return new Worker({
    identity: { api, job, lane, queueLane: queueLane(api, lane), epoch, generation, index, name: worker },
    spec,
    processes: parts.processes,
    store: parts.store,
    queue: parts.queue,
    dataset: parts.dataset,
    clock: process,
    random: world.pace.fork(),
    pace: {
      pollSeconds: parts.pollSeconds,
      laneReadSeconds: world.leaseSeconds / 3,
      flushSeconds: 0.01,
      flushSecondsPerWorker: 0,
      drainSeconds: 3,
      lookSeconds: 1,
    },
    startHandler: async () => {
      const late = world.chance.is(10 * world.rates.slow);
      if (late) world.count("handler late");
      await process.sleep(world.pace.skewed(10, 1_000) + (late ? 3 * world.leaseMs : 0));
      if (parts.startFails()) throw new HandlerStartFailed("it cannot be imported", "");
      return { handler: new SimulatedHandler(process, parts.deeds, parts.hook), ready: { hook: parts.hook } };
    },
    say: (text) => {
      noSecret(world, "a worker's log", text);
      world.tell(process.name, () => `says: ${text}`);
    },
  });
}
