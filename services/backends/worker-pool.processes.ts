import { join, resolve } from "node:path";
import { ENV } from "../protocol/environment.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";
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
  /** Indexes that were asked for. */
  size: number;
  /** All incarnations, in the order of their starts. */
  readonly workers: WorkerProcess[];
  /** Indexes whose worker ended badly and whose next one waits for its start, with how often that has happened. */
  readonly waiting: Map<number, number>;
  readonly restarts: Map<number, number>;
  /** Aborted when the generation is stopped: nothing is started any more. */
  readonly stopped: AbortController;
}

/** Restarts of one index; the first comes at once, the others after 0.5 s, 1 s, 2 s, … */
const RESTARTS_MAX = 8;
const RESTART_FIRST_MS = 500;
const RESTART_LAST_MS = 10_000;

/** Stopped generations that are remembered: a service runs thousands of jobs in its life. */
const STOPPED_KEPT = 100;

/**
 * The laptop's pool: each worker is a child process that leads a process group of its own. When one ends, however it
 * ends, its handlers' groups are killed; one that did not end by its own will (exit code 0) is replaced, as a Kubernetes
 * Job replaces the pods of an index. Nothing outlives `close()`; after a killed service see `endLeftovers`.
 */
export class ProcessPool implements WorkerPool {
  private readonly options: ProcessPoolOptions;
  private readonly generations = new Map<string, Generation>();
  /** Keys of generations that were stopped, oldest first. */
  private readonly stopped = new Set<string>();

  constructor(options: ProcessPoolOptions) {
    this.options = options;
  }

  start(name: GenerationName, workers: number): Promise<void> {
    const key = generationKey(name);
    if (!this.generations.has(key)) {
      const counts = { waiting: new Map<number, number>(), restarts: new Map<number, number>() };
      const generation: Generation = { name, size: 0, workers: [], ...counts, stopped: new AbortController() };
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
    const wanted = this.generationsOf((name) => name.job === job && name.epoch === epoch);
    return Promise.resolve(
      wanted.flatMap((generation) => [...generation.workers.map(({ facts }) => facts), ...pending(generation)]),
    );
  }

  async stop(job: string, epoch: number): Promise<void> {
    await this.end(this.generationsOf((name) => name.job === job && name.epoch <= epoch));
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  /** Those that live, and the latest ones that were stopped. */
  get generationsRemembered(): number {
    return this.generations.size;
  }

  /** Ends one worker on behalf of the platform: it hands back what it holds, and nobody is charged. Resolves when asked. */
  drain(worker: string): void {
    for (const { workers } of this.generations.values()) {
      for (const process of workers) if (process.facts.worker === worker) process.drain();
    }
  }

  /** Ends all workers of all jobs; resolves when they are gone. */
  async close(): Promise<void> {
    await this.end(this.generationsOf(() => true));
  }

  private generationsOf(wanted: (name: GenerationName) => boolean): readonly Generation[] {
    return [...this.generations.values()].filter(({ name }) => wanted(name));
  }

  private async end(generations: readonly Generation[]): Promise<void> {
    for (const { stopped } of generations) stopped.abort();
    const workers = generations.flatMap(({ workers }) => workers);
    const { clock, graceSeconds = 30 } = this.options;
    for (const worker of workers) worker.ask();
    const gone = Promise.all(workers.map((worker) => worker.ended));
    const early = new AbortController();
    const grace = clock.sleep(1000 * graceSeconds, early.signal).catch(() => undefined); // aborted: all are gone
    await Promise.race([gone, grace]);
    early.abort();
    for (const worker of workers) worker.kill();
    await gone;
    this.forgetOldest(generations);
  }

  private forgetOldest(stopped: readonly Generation[]): void {
    for (const { name } of stopped) {
      this.stopped.delete(generationKey(name));
      this.stopped.add(generationKey(name));
    }
    for (const key of this.stopped) {
      if (this.stopped.size <= STOPPED_KEPT) return;
      this.stopped.delete(key);
      if (this.generations.get(key)?.stopped.signal.aborted === true) this.generations.delete(key);
    }
  }

  private grow(generation: Generation, workers: number): void {
    for (; generation.size < workers; generation.size += 1) this.startIndex(generation, generation.size);
  }

  private startIndex(generation: Generation, index: number): void {
    if (generation.stopped.signal.aborted) return;
    const worker = this.spawn(generation.name, index);
    generation.workers.push(worker);
    void worker.ended.then(() => {
      const { exitCode } = worker.facts;
      // What cannot start will not start the next time either; the driver tries the next generation, and then gives up.
      if (exitCode === WORKER_EXIT.done || exitCode === WORKER_EXIT.misconfigured) return;
      // A process that this machine cannot start now (no descriptors, no disk) is one that is missing: the driver sees it.
      this.replace(generation, index).catch(() => undefined);
    });
  }

  /** A new incarnation of an index whose worker died, was drained or could not start. */
  private async replace(generation: Generation, index: number): Promise<void> {
    const restarts = generation.restarts.get(index) ?? 0;
    if (restarts >= RESTARTS_MAX || generation.stopped.signal.aborted) return;
    generation.restarts.set(index, restarts + 1);
    if (restarts > 0) {
      generation.waiting.set(index, restarts);
      const waitMs = Math.min(RESTART_LAST_MS, RESTART_FIRST_MS * 2 ** (restarts - 1));
      await this.options.clock.sleep(waitMs, generation.stopped.signal).catch(() => undefined); // stopped: looked at next
      generation.waiting.delete(index);
    }
    this.startIndex(generation, index);
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

/** The worker of each index that waits for its restart. */
function pending({ name, waiting }: Generation): PoolWorker[] {
  return [...waiting].map(([index, restarts]) => {
    const waitingFor = `worker ${String(index)} ended ${String(restarts + 1)} times and is started again soon; the job's logs say why`;
    return { generation: name.generation, index, phase: "pending", waitingFor };
  });
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
