import type { GenerationName, PoolWorker, WorkerPool } from "../../services/backends/worker-pool.ts";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { workerName } from "../../services/protocol/keys.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import type { World } from "./world.ts";

/** A worker that runs: its process, and the word that it hears from its platform. */
export interface RunningWorker {
  readonly process: SimulatedProcess;
  drain(): void;
  /** Its service's socket closed. */
  lose(): void;
}

/** Starts a worker's program; `onExit` is called when it ends by itself. */
export type Launch = (
  name: GenerationName,
  index: number,
  worker: string,
  onExit: (code: number) => void,
  onCrash: () => void,
) => RunningWorker;

interface Pod {
  readonly index: number;
  readonly generation: Generation;
  worker: string | undefined;
  running: RunningWorker | undefined;
  ended: { readonly exitCode: number | undefined } | undefined;
  /** What the platform knows of it; later than it is. */
  seen: PoolWorker;
  disrupted: boolean;
}

interface Generation {
  readonly name: GenerationName;
  size: number;
  stopped: boolean;
  readonly pods: Pod[];
  readonly restarts: Map<number, number>;
}

/** The platform that runs workers, in the manner of Kubernetes: slow to start, late to know, replacing what crashed. */
export class SimulatedPlatform {
  readonly world: World;
  readonly #launch: Launch;
  readonly #restartsMax: number;
  readonly #generations = new Map<string, Generation>();
  /** Pods whose image cannot be pulled, as what they do once it can. */
  readonly #stuck: (() => void)[] = [];

  constructor(world: World, launch: Launch) {
    this.world = world;
    this.#launch = launch;
    this.#restartsMax = world.chance.pick([0, 1, 3, 8]);
  }

  start(name: GenerationName, workers: number): void {
    const key = keyOf(name);
    if (this.#generations.has(key)) return;
    if (name.generation > 1) this.world.count("generation change");
    const generation: Generation = { name, size: 0, stopped: false, pods: [], restarts: new Map() };
    this.#generations.set(key, generation);
    this.#grow(generation, workers);
  }

  resize(name: GenerationName, workers: number): void {
    const generation = this.#generations.get(keyOf(name));
    if (generation !== undefined) this.#grow(generation, workers);
  }

  workers(job: string, epoch: number): readonly PoolWorker[] {
    return this.#of((name) => name.job === job && name.epoch === epoch).flatMap(({ pods }) =>
      pods.map(({ seen }) => seen),
    );
  }

  /** Ends all workers of a job; resolves when they are gone. */
  async stop(job: string, epoch: number): Promise<void> {
    await this.#end(this.#of((name) => name.job === job && name.epoch <= epoch));
  }

  /** Ends all workers; resolves when they are gone. */
  async close(): Promise<void> {
    await this.#end(this.#of(() => true));
  }

  async #end(generations: readonly Generation[]): Promise<void> {
    const { world } = this;
    for (const generation of generations) generation.stopped = true;
    const pods = generations.flatMap((generation) => generation.pods.filter(({ ended }) => ended === undefined));
    for (const pod of pods) pod.running?.drain();
    const graceEndsMs = world.nowMs + GRACE_MS;
    while (pods.some(({ running, ended }) => running !== undefined && ended === undefined)) {
      await new Promise<void>((resolve) => world.timeline.after(100, resolve));
      if (world.nowMs < graceEndsMs) continue;
      for (const pod of pods) pod.running?.process.crash("killed after its grace");
    }
  }

  /** All images can be pulled again. */
  restore(): void {
    for (const pulled of this.#stuck.splice(0)) pulled();
  }

  /** All workers of the platform that run now. */
  running(): readonly RunningWorker[] {
    return [...this.#generations.values()].flatMap(({ pods }) => {
      return pods.flatMap(({ running, ended }) => (running === undefined || ended !== undefined ? [] : [running]));
    });
  }

  /** Nothing is remembered of any job: the service that was its memory is gone. */
  forget(): void {
    for (const generation of this.#generations.values()) generation.stopped = true;
    this.#generations.clear();
  }

  /** What befalls a platform now and then; called once a second. */
  tick(): void {
    const { chance, rates } = this.world;
    for (const generation of this.#generations.values()) {
      if (generation.stopped) continue;
      if (chance.is(rates.poolGone)) this.#delete(generation);
      for (const pod of generation.pods.filter(({ running, ended }) => running !== undefined && ended === undefined)) {
        if (chance.is(rates.drained)) this.#drain(pod);
        else if (chance.is(rates.cutOff)) this.#cutOff(pod);
      }
    }
  }

  #delete(generation: Generation): void {
    this.world.count("generation deleted by others");
    generation.stopped = true;
    for (const pod of generation.pods) {
      pod.disrupted = true;
      pod.running?.process.crash("its generation was deleted");
      if (pod.running === undefined) this.#ended(pod, undefined);
    }
  }

  #drain(pod: Pod): void {
    if (pod.ended !== undefined) return;
    this.world.count("worker drained");
    pod.disrupted = true;
    pod.running?.drain();
    this.world.timeline.after(GRACE_MS, () => {
      if (pod.ended === undefined) pod.running?.process.crash("killed after its grace");
    });
  }

  #cutOff(pod: Pod): void {
    this.world.count("worker cut off from its platform");
    this.world.tell("platform", () => `takes ${pod.worker ?? ""} for ended, and it lives on`);
    this.#ended(pod, undefined);
  }

  #of(wanted: (name: GenerationName) => boolean): Generation[] {
    return [...this.#generations.values()].filter(({ name }) => wanted(name));
  }

  #grow(generation: Generation, workers: number): void {
    for (; generation.size < workers; generation.size += 1) this.#startPod(generation, generation.size);
  }

  #startPod(generation: Generation, index: number): void {
    const { world } = this;
    const seen: PoolWorker = { generation: generation.name.generation, index, phase: "pending" };
    const pod: Pod = {
      index,
      generation,
      worker: undefined,
      running: undefined,
      ended: undefined,
      seen,
      disrupted: false,
    };
    generation.pods.push(pod);
    const pulled = () => {
      if (generation.stopped) this.#ended(pod, undefined);
      else this.#run(pod);
    };
    if (world.chance.is(world.rates.pullStuck)) {
      world.count("image pull stuck");
      this.#stuck.push(pulled);
    } else world.timeline.after(world.pace.skewed(50, 3_000), pulled);
  }

  #run(pod: Pod): void {
    const { world } = this;
    const { name } = pod.generation;
    const worker = workerName(name.epoch, name.generation, pod.index, world.pace.hex(2));
    pod.worker = worker;
    const onExit = (code: number) => {
      this.#ended(pod, code);
    };
    pod.running = this.#launch(name, pod.index, worker, onExit, () => {
      this.#ended(pod, undefined);
    });
    this.#see(pod, { ...pod.seen, worker, phase: "running" });
  }

  #ended(pod: Pod, exitCode: number | undefined): void {
    if (pod.ended !== undefined) return;
    pod.ended = { exitCode };
    const { generation, index } = pod;
    const ending = {
      ...pod.seen,
      ...(pod.worker === undefined ? {} : { worker: pod.worker }),
      phase: "ended",
    } as const;
    this.#see(pod, {
      ...ending,
      disrupted: pod.disrupted,
      ...(exitCode === undefined ? { signal: "SIGKILL" } : { exitCode }),
    });
    if (exitCode === WORKER_EXIT.done || exitCode === WORKER_EXIT.misconfigured) return;
    const restarts = generation.restarts.get(index) ?? 0;
    if (restarts >= this.#restartsMax && !pod.disrupted) return;
    generation.restarts.set(index, restarts + 1);
    this.world.timeline.after(200 * 2 ** Math.min(restarts, 5), () => {
      if (!generation.stopped) this.#startPod(generation, index);
    });
  }

  /** The platform's word on a pod comes after the fact; its words come in order. */
  #see(pod: Pod, seen: PoolWorker): void {
    const { world } = this;
    const lateMs = seen.phase === "ended" ? world.pace.skewed(5, 3_000) : 0;
    world.timeline.after(lateMs, () => {
      if (pod.seen.phase !== "ended") pod.seen = seen;
    });
  }
}

const GRACE_MS = 6_000;

function keyOf({ job, epoch, generation }: GenerationName): string {
  return `${job}/${String(epoch)}/${String(generation)}`;
}

/** The platform, as one replica reaches it. */
export class SimulatedPool implements WorkerPool {
  readonly #process: SimulatedProcess;
  readonly #platform: SimulatedPlatform;

  constructor(process: SimulatedProcess, platform: SimulatedPlatform) {
    this.#process = process;
    this.#platform = platform;
  }

  start(name: GenerationName, workers: number): Promise<void> {
    const what = () => `start ${keyOf(name).slice(11)} of ${String(workers)}`;
    return this.#process.call(what, async () => {
      this.#platform.start(name, workers);
    });
  }

  resize(name: GenerationName, workers: number): Promise<void> {
    return this.#process.call(
      () => `resize ${keyOf(name).slice(11)} to ${String(workers)}`,
      async () => {
        this.#platform.resize(name, workers);
      },
    );
  }

  workers(job: string, epoch: number): Promise<readonly PoolWorker[]> {
    return this.#process.look(
      () => `workers of ${job.slice(-5)}`,
      () => this.#platform.workers(job, epoch),
    );
  }

  stop(job: string, epoch: number): Promise<void> {
    return this.#process.call(
      () => `stop workers of ${job.slice(-5)}`,
      () => this.#platform.stop(job, epoch),
    );
  }

  probe(): Promise<void> {
    return this.#process.call("probe pool", () => Promise.resolve());
  }
}
