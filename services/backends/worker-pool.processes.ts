import { join, resolve } from "node:path";
import { ENV } from "../protocol/environment.ts";
import { workerName } from "../protocol/keys.ts";
import type { Clock, Random } from "./clock.ts";
import { serviceSocketPath } from "./service-socket.ts";
import { WorkerProcess, type OutputListener } from "./worker-process.ts";
import type { GenerationName, PoolWorker, WorkerPool } from "./worker-pool.ts";

export interface ProcessPoolOptions {
  /** The service's root: sockets, process files, scratch and caches stand under it. */
  readonly root: string;
  /** What a worker is started with: program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly random: Random;
  /** Environment that workers inherit; the pool adds its own variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** From asking a worker to leave (SIGTERM) until it is killed, seconds; default 30. */
  readonly graceSeconds?: number;
  /** Hears what worker processes themselves print, line by line, bounded (see `WorkerProcess`). */
  readonly onOutput?: OutputListener;
  /** Told at once, in line, when a worker's process has ended. Must not throw. */
  readonly onEnded?: (name: GenerationName, worker: PoolWorker) => void;
}

interface Generation {
  readonly name: GenerationName;
  readonly workers: WorkerProcess[];
}

/**
 * The laptop's pool: each worker is a child process that leads a process group of its own. When one ends, however it
 * ends, its handlers' groups are killed. Nothing outlives `close()`; after a killed service see `endLeftovers`.
 */
export class ProcessPool implements WorkerPool {
  private readonly options: ProcessPoolOptions;
  private readonly generations = new Map<string, Generation>();

  constructor(options: ProcessPoolOptions) {
    this.options = options;
  }

  start(name: GenerationName, workers: number): Promise<void> {
    const key = generationKey(name);
    if (!this.generations.has(key)) {
      const generation: Generation = { name, workers: [] };
      this.generations.set(key, generation);
      this.grow(generation, workers);
    }
    return Promise.resolve();
  }

  resize(name: GenerationName, workers: number): Promise<void> {
    const generation = this.generations.get(generationKey(name));
    if (generation !== undefined) this.grow(generation, workers);
    return Promise.resolve();
  }

  workers(job: string, epoch: number): Promise<readonly PoolWorker[]> {
    const workers = this.processes((name) => name.job === job && name.epoch === epoch);
    return Promise.resolve(workers.map((worker) => worker.facts));
  }

  async stop(job: string, epoch: number): Promise<void> {
    await this.end(this.processes((name) => name.job === job && name.epoch <= epoch));
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends one worker on behalf of the platform: it hands back what it holds, and nobody is charged. Resolves when asked. */
  drain(worker: string): void {
    for (const process of this.processes(() => true)) if (process.facts.worker === worker) process.drain();
  }

  /** Ends all workers of all jobs; resolves when they are gone. */
  async close(): Promise<void> {
    await this.end(this.processes(() => true));
  }

  private processes(wanted: (name: GenerationName) => boolean): readonly WorkerProcess[] {
    return [...this.generations.values()].filter(({ name }) => wanted(name)).flatMap(({ workers }) => workers);
  }

  private async end(workers: readonly WorkerProcess[]): Promise<void> {
    const { clock, graceSeconds = 30 } = this.options;
    for (const worker of workers) worker.ask();
    const gone = Promise.all(workers.map((worker) => worker.ended));
    const early = new AbortController();
    const grace = clock.sleep(1000 * graceSeconds, early.signal).catch(() => undefined); // aborted: all are gone
    await Promise.race([gone, grace]);
    early.abort();
    for (const worker of workers) worker.kill();
    await gone;
  }

  private grow(generation: Generation, workers: number): void {
    while (generation.workers.length < workers) {
      generation.workers.push(this.spawn(generation.name, generation.workers.length));
    }
  }

  private spawn(name: GenerationName, index: number): WorkerProcess {
    const { root, command, random, environment, onOutput, onEnded } = this.options;
    const incarnation = random.hex(4);
    return new WorkerProcess({
      root: resolve(root),
      command,
      name,
      index,
      worker: workerName(name.epoch, name.generation, index, incarnation),
      environment: { ...environment, ...workerEnvironment(resolve(root), name, index, incarnation) },
      onOutput,
      onEnded,
    });
  }
}

function workerEnvironment(root: string, name: GenerationName, index: number, incarnation: string) {
  return {
    [ENV.root]: root,
    [ENV.api]: name.api,
    [ENV.job]: name.job,
    [ENV.lane]: String(name.lane),
    [ENV.epoch]: String(name.epoch),
    [ENV.generation]: String(name.generation),
    [ENV.index]: String(index),
    [ENV.incarnation]: incarnation,
    [ENV.socket]: serviceSocketPath(root),
    [ENV.scratch]: join(root, "scratch"),
    // Compiled once, not at each start of a worker: it is a good part of the time to a first batch.
    NODE_COMPILE_CACHE: join(root, "cache", "node"),
  };
}

function generationKey({ job, epoch, generation }: GenerationName): string {
  return `${job}-${String(epoch)}-g${String(generation)}`;
}
