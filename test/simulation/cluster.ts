import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { aVersion } from "../support/builders.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { Chance } from "./chance.ts";
import { drawRates } from "./faults.ts";
import { SimulatedDataset } from "./simulated-dataset.ts";
import { SimulatedPlatform, SimulatedPool, type Launch } from "./simulated-pool.ts";
import { SimulatedProcess } from "./simulated-process.ts";
import { SimulatedLanes, SimulatedQueue } from "./simulated-queue.ts";
import { NO_LOGS, startService, type SimulatedService } from "./simulated-service.ts";
import { SimulatedStore } from "./simulated-store.ts";
import { startWorker } from "./simulated-worker.ts";
import { UserJob } from "./user-job.ts";
import { Watch } from "./watch.ts";
import { API, drawWorkload } from "./workload.ts";
import { World } from "./world.ts";

/** A service with its workers, store, queue and users, from a seed. */
export class Cluster {
  readonly world: World;
  readonly store: MemoryStore;
  readonly jobs: readonly UserJob[];
  readonly watch: Watch;
  readonly faultsEndMs: number;
  readonly faultFree: boolean;
  readonly #dataset = new MemoryDataset();
  readonly #lanes: SimulatedLanes;
  readonly #platform: SimulatedPlatform;
  readonly #services: (SimulatedService | undefined)[] = [];
  readonly #laneCount: number;
  readonly #appendsMax: number | undefined;
  readonly #handlerProcesses: number;
  readonly #workers: SimulatedProcess[] = [];
  #started = 0;

  constructor(seed: number) {
    const chance = new Chance(seed);
    this.faultFree = chance.is(0.1);
    // One lane that goes from job to job, with workers that their platform knows nothing of: zombies.
    const crowded = !this.faultFree && chance.is(0.15);
    const drawn = drawRates(chance, this.faultFree ? "none" : "swarm");
    const rates = crowded ? { ...drawn, cutOff: 0.3 } : drawn;
    this.world = new World(chance.fork(), rates, 5);
    this.faultsEndMs = this.faultFree ? 0 : chance.skewed(4_000, 60_000);
    const { world } = this;
    this.store = new MemoryStore({
      clock: { monotonicMs: () => world.nowMs, wallMs: () => Date.UTC(2026, 0, 1) + Math.floor(world.nowMs), sleep: () => Promise.reject(new Error("not here")) }, // prettier-ignore
    });
    this.#laneCount = crowded ? 1 : chance.pick(rates.laneGone > 0 ? [1, 2, 3] : [1, 1, 2]);
    this.#handlerProcesses = chance.pick([1, 1, 2]);
    this.#appendsMax = chance.pick([undefined, 2, 8]);
    this.jobs = drawWorkload(chance, this.#dataset, !this.faultFree, crowded ? 3 : chance.integer(1, 3)).map(
      (planned) => new UserJob(world, planned),
    );
    this.watch = new Watch(world, this.store, this.jobs);
    this.#lanes = new SimulatedLanes(world, this.watch, chance.is(0.2));
    this.#platform = new SimulatedPlatform(world, this.#launch);
    for (let slot = 0; slot < 2; slot += 1) this.#startService(slot);
  }

  /** What a job service needs that looks at the end of it all from outside. */
  get outside() {
    const { world } = this;
    const clock = new SimulatedProcess(world, { kind: "client", name: "outside" });
    return { dataset: this.#dataset, logs: NO_LOGS, clock, random: world.pace };
  }

  /** Runs until all jobs are final, or something is broken, or it takes too long. */
  async run(): Promise<void> {
    const { world } = this;
    await this.#deploy();
    for (const job of this.jobs) job.live(() => world.chance.pick(this.#services));
    this.#everySecond();
    world.timeline.after(this.faultsEndMs, () => {
      this.#endFaults();
    });
    const boundMs = this.faultsEndMs + this.jobs.reduce((sum, job) => sum + job.boundMs(world.leaseMs), 0);
    while (world.story.violations.length === 0 && !(await this.#over())) {
      if (world.nowMs > boundMs) {
        world.broken(this.#hangs());
        break;
      }
      if (!(await world.timeline.step())) break;
    }
  }

  /** All jobs are final, and all that they held was given back. */
  async #over(): Promise<boolean> {
    if (this.world.nowMs <= this.faultsEndMs || !this.jobs.every((job) => job.isFinal)) return false;
    if (!this.#workers.every(({ isDead }) => isDead)) return false;
    return (await this.store.list(apiKeys(API).active)).entries.length === 0;
  }

  #hangs(): string {
    const jobs = this.jobs.map((job) => `job ${job.name} is ${job.state}`);
    const workers = this.#workers.flatMap(({ isDead, name }) => (isDead ? [] : `${name} lives`));
    return `L1 I12: ${[...jobs, ...workers].join(", ")}, long after all faults have ended`;
  }

  async #deploy(): Promise<void> {
    const version = aVersion({ api: API });
    const keys = apiKeys(API);
    await this.store.put(keys.version(version.version), encodeStored(version));
    await this.store.swap(keys.current, encodeStored({ version: version.version, generation: 1 }), undefined);
  }

  #startService(slot: number): void {
    const { world } = this;
    const process = new SimulatedProcess(world, {
      kind: "replica",
      name: `replica-${String((this.#started += 1))}`,
      onCrash: () => {
        this.#services[slot] = undefined;
        world.timeline.after(world.pace.skewed(100, 10_000), () => {
          this.#startService(slot);
        });
      },
    });
    this.#services[slot] = startService({
      process,
      store: this.#storeOf(process),
      queue: new SimulatedQueue(process, this.#lanes),
      pool: new SimulatedPool(process, this.#platform),
      dataset: new SimulatedDataset(process, this.#dataset),
      lanes: this.#laneCount,
      alone: false,
    });
  }

  #storeOf(process: SimulatedProcess): SimulatedStore {
    return new SimulatedStore(process, this.store, this.watch, this.#appendsMax);
  }

  readonly #launch: Launch = (name, index, worker, onExit, onCrash) => {
    const { world } = this;
    const job = this.jobs.find((candidate) => candidate.id === name.job);
    const process = new SimulatedProcess(world, {
      kind: "worker",
      name: `w${worker}`,
      onCrash: () => {
        this.watch.ended(worker);
        onCrash();
      },
    });
    this.#workers.push(process);
    return startWorker({
      process,
      store: this.#storeOf(process),
      queue: new SimulatedQueue(process, this.#lanes),
      dataset: new SimulatedDataset(process, this.#dataset),
      name,
      index,
      worker,
      processes: this.#handlerProcesses,
      hook: job?.planned.script.hook !== "none",
      startFails: () => job?.planned.script.broken === true || world.chance.is(world.rates.startFails),
      deeds: this.watch.deedsOf(name, process),
      onExit,
    });
  };

  #everySecond(): void {
    this.#platform.tick();
    this.#lanes.tick();
    this.world.timeline.after(1_000, () => {
      this.#everySecond();
    });
  }

  #endFaults(): void {
    this.world.endFaults();
    this.#lanes.restore();
    this.world.tell("--", "FAULTS END");
    for (const service of this.#services) service?.process.wake();
    for (const worker of this.#workers) worker.wake();
  }
}
