import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { apiKeys } from "../../services/protocol/keys.ts";
import { aVersion } from "../support/builders.ts";
import { LEASE_SECONDS, type ClusterPlan } from "./cluster-plan.ts";
import { itemsToRetry, outsideService } from "./family.ts";
import { SimulatedDataset } from "./simulated-dataset.ts";
import { SimulatedPlatform, SimulatedPool, type Launch } from "./simulated-pool.ts";
import { SimulatedProcess, type ProcessOptions } from "./simulated-process.ts";
import { SimulatedLaptop } from "./simulated-laptop.ts";
import { SimulatedLanes } from "./simulated-lanes.ts";
import { SimulatedQueue } from "./simulated-queue.ts";
import { NO_LOGS, OFTEN, startService, type ServiceParts, type SimulatedService } from "./simulated-service.ts";
import { SimulatedStore } from "./simulated-store.ts";
import { startWorker } from "./simulated-worker.ts";
import { UserJob } from "./user-job.ts";
import { Watch } from "./watch.ts";
import { API, changeFile } from "./workload.ts";
import { World, type Telling } from "./world.ts";

/** A service with its workers, store, queue and users, as planned. */
export class Cluster {
  readonly world: World;
  readonly store: MemoryStore;
  /** Those that were planned, then their retries. */
  readonly jobs: UserJob[];
  readonly watch: Watch;
  readonly faultsEndMs: number;
  readonly faultFree: boolean;
  readonly #plan: ClusterPlan;
  readonly #lanes: SimulatedLanes;
  readonly #platform: SimulatedPlatform;
  readonly #laptop: SimulatedLaptop | undefined;
  readonly #services: (SimulatedService | undefined)[] = [];
  readonly #workers: SimulatedProcess[] = [];
  #started = 0;

  constructor(plan: ClusterPlan, telling?: Telling) {
    this.#plan = plan;
    this.faultFree = plan.faultFree;
    this.faultsEndMs = plan.faultsEndMs;
    this.world = new World(plan.chance, plan.rates, LEASE_SECONDS, telling);
    const { world } = this;
    this.store = new MemoryStore({
      clock: { monotonicMs: () => world.nowMs, wallMs: () => Date.UTC(2026, 0, 1) + Math.floor(world.nowMs), sleep: () => Promise.reject(new Error("not here")) }, // prettier-ignore
    });
    this.jobs = plan.jobs.map((planned) => new UserJob(world, planned));
    this.watch = new Watch(world, this.jobs);
    this.#lanes = new SimulatedLanes(world, this.watch, plan.bareMessages);
    this.#platform = new SimulatedPlatform(world, this.#launch);
    this.#laptop = plan.laptop === true ? new SimulatedLaptop(world, this.watch) : undefined;
    for (let slot = 0; slot < (this.#laptop === undefined ? 2 : 1); slot += 1) this.#startService(slot);
  }

  /** What a job service needs that looks at the end of it all from outside. */
  get outside() {
    const { world } = this;
    const clock = new SimulatedProcess(world, { kind: "client", name: "outside" });
    return { dataset: this.#plan.dataset, logs: NO_LOGS, clock, random: world.pace };
  }

  /** Runs until all jobs are final, or something is broken, or it takes too long. */
  async run(): Promise<void> {
    const { world } = this;
    await this.#deploy();
    for (const job of this.jobs) {
      job.live(
        () => world.chance.pick(this.#services),
        () => itemsToRetry(outsideService(this), job),
      );
    }
    for (const [number, job] of this.jobs.entries()) job.listed = () => { this.#changeLater(number, job); }; // prettier-ignore
    this.#everySecond();
    world.timeline.after(this.faultsEndMs, () => {
      this.#endFaults();
    });
    const boundMs = this.faultsEndMs + this.jobs.reduce((sum, job) => sum + job.boundMs(world.leaseMs), 0);
    await world.timeline.run(() => {
      if (world.story.violations.length > 0 || this.#isOver()) return true;
      if (world.nowMs > boundMs) world.broken(this.#hangs());
      return world.nowMs > boundMs;
    });
  }

  /** A user writes other data over what their job reads. */
  #changeLater(number: number, { planned, name }: UserJob): void {
    const { world } = this;
    if (planned.changesAfterMs === undefined) return;
    world.timeline.after(planned.changesAfterMs, () => {
      world.count("data changed under its job");
      world.tell("user", `writes over the data of ${name}`);
      changeFile(this.#plan.dataset, number);
    });
  }

  /** All jobs are final, and all that they held was given back. */
  #isOver(): boolean {
    if (this.world.nowMs <= this.faultsEndMs || this.watch.activeJobs > 0) return false;
    return this.jobs.every((job) => job.isOver) && this.#workers.every(({ isDead }) => isDead);
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
    await this.store.put(keys.project(version.project), Buffer.from("code"));
    await this.store.swap(keys.current, encodeStored({ version: version.version, generation: 1 }), undefined);
  }

  #startService(slot: number): void {
    const process = this.#process({
      kind: "replica",
      name: `replica-${String((this.#started += 1))}`,
      onCrash: () => {
        this.#serviceGone(slot);
      },
    });
    // As `endLeftovers`: nobody is adopted.
    if (this.#laptop !== undefined)
      for (const worker of this.#workers) worker.crash("a leftover of the service before");
    const parts: ServiceParts = {
      process,
      store: this.#storeOf(process),
      queue: this.#laptop?.open(process, () => service.replica.wakeAll()) ?? this.#queueOf(process),
      pool: new SimulatedPool(process, this.#platform),
      dataset: new SimulatedDataset(process, this.#plan.dataset),
      lanes: this.#plan.lanes,
      alone: this.#laptop !== undefined,
      pace: this.#plan.pace ?? OFTEN,
    };
    const service = startService(parts);
    this.#services[slot] = service;
  }

  /** It is asked to leave, as by SIGTERM. */
  async #leave(slot: number, service: SimulatedService): Promise<void> {
    this.world.count("service leaves");
    this.world.tell(service.process.name, "LEAVES");
    await service.leave();
    if (this.#laptop !== undefined) await this.#platform.close();
    if (service.process.isDead) return;
    service.process.end();
    this.#serviceGone(slot);
  }

  /** Another one comes. A laptop's queue and the pool's memory went with it, and its workers hear of that. */
  #serviceGone(slot: number): void {
    const { world } = this;
    this.#services[slot] = undefined;
    if (this.#laptop !== undefined) {
      world.count("laptop's service gone");
      this.#laptop.close();
      for (const worker of this.#platform.running()) worker.lose();
      this.#platform.forget();
    }
    world.timeline.after(world.pace.skewed(100, 10_000), () => {
      this.#startService(slot);
    });
  }

  #process(options: ProcessOptions): SimulatedProcess {
    return this.#plan.between?.process(this.world, options) ?? new SimulatedProcess(this.world, options);
  }

  #storeOf(process: SimulatedProcess): ObjectStore {
    const store = new SimulatedStore(process, this.store, this.watch, this.#plan.appendsMax);
    return this.#plan.between?.store(process, store) ?? store;
  }

  #queueOf(process: SimulatedProcess): BatchQueue {
    const queue = new SimulatedQueue(process, this.#lanes);
    return this.#plan.between?.queue(process, queue) ?? queue;
  }

  readonly #launch: Launch = (name, index, worker, onExit, onCrash) => {
    const { world } = this;
    const job = this.jobs.find((candidate) => candidate.id === name.job);
    const process = this.#process({
      kind: "worker",
      name: `w${worker}`,
      onCrash: () => {
        this.watch.ended(worker);
        socket?.abandon();
        onCrash();
      },
    });
    const socket = this.#laptop?.connect(process);
    this.#workers.push(process);
    return startWorker({
      process,
      store: this.#storeOf(process),
      queue: socket ?? this.#queueOf(process),
      dataset: new SimulatedDataset(process, this.#plan.dataset),
      name,
      index,
      worker,
      processes: this.#plan.handlerProcesses,
      pollSeconds: this.#plan.pollSeconds,
      hook: job?.planned.script.hook !== "none",
      startFails: () => job?.planned.script.broken === true || world.chance.is(world.rates.startFails),
      deeds: this.watch.deedsOf(name, process),
      onExit: (code) => {
        this.watch.ended(worker);
        socket?.abandon();
        onExit(code);
      },
    });
  };

  #everySecond(): void {
    this.#platform.tick();
    this.#lanes.tick();
    const { chance, rates } = this.world;
    for (const [slot, service] of this.#services.entries()) {
      if (service !== undefined && chance.is(rates.leaves)) void this.#leave(slot, service);
    }
    this.world.timeline.after(1_000, () => {
      this.#everySecond();
    });
  }

  #endFaults(): void {
    this.world.endFaults();
    this.#lanes.restore();
    this.#platform.restore();
    this.world.tell("--", "FAULTS END");
    for (const service of this.#services) service?.process.wake();
    for (const worker of this.#workers) worker.wake();
  }
}
