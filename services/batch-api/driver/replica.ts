import type { JobSpec, LiveFacts } from "../../protocol/jobs.ts";
import { queueLane } from "../../protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../protocol/lanes.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { readState } from "../jobs/state-record.ts";
import { ActiveJobs, type WaitingJob } from "./active-jobs.ts";
import type { DriverDeps } from "./context.ts";
import { CutOffs } from "./cut-offs.ts";
import { CutOff, Driver } from "./driver.ts";
import { endWorkers } from "./end-workers.ts";
import { Deposed, LaneLease, readLane, swapLane, type HeldLane } from "./lane-lease.ts";
import { LaneWatch } from "./lane-watch.ts";
import { byGrant, WaitingTold } from "./waiting.ts";
import { Wake } from "./wake.ts";

export interface ReplicaOptions {
  /** Names this process in lane records; never used again after it ended. */
  readonly id: string;
  /** APIs whose jobs are driven here, asked at each look. */
  readonly apis: () => Promise<readonly string[]>;
  /** Lanes of each API: how many of its jobs run at once. */
  readonly lanes: number;
  /** Longest pause between two looks: while jobs live, and while none does. */
  readonly busyMs: number;
  readonly idleMs: number;
  /** A start of the only service of this root: whoever is named in a lane record is dead, and its epoch with it. */
  readonly alone: boolean;
  /** The process must end: its loops stand still, or its store is broken. */
  readonly onFatal: (error: unknown) => void;
}

/** Troubles that are remembered; one that was forgotten is logged again. */
const TROUBLES_MAX = 1_000;

/** One service process' part in driving jobs: grants lanes, takes over those of dead replicas, runs a driver for each. */
export class Replica {
  readonly #deps: DriverDeps;
  readonly #options: ReplicaOptions;
  readonly #wake: Wake;
  readonly #watch: LaneWatch;
  readonly #active: ActiveJobs;
  readonly #waitingTold: WaitingTold;
  readonly #cutOffs: CutOffs;
  readonly #drivers = new Map<string, { readonly driver: Driver; readonly ended: Promise<void> }>();
  /** Lanes whose job nobody can drive, while its workers end. */
  readonly #clearing = new Map<string, Promise<unknown>>();
  /** Lanes whose records were looked at since the start (see `alone`). */
  readonly #adopted = new Set<string>();
  /** What was wrong with an API or a job at its last look, so that it is logged once and not at each look. */
  readonly #troubles = new Map<string, string>();

  constructor(deps: DriverDeps, options: ReplicaOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#wake = new Wake(deps.clock);
    this.#watch = new LaneWatch(deps.clock, deps.queue.leaseSeconds * 1000);
    this.#waitingTold = new WaitingTold(deps.store);
    this.#cutOffs = new CutOffs(deps);
    this.#active = new ActiveJobs(deps, (job, step) => this.#apart(job, step));
  }

  /** Looks at lanes and jobs until the signal aborts; then its drivers stop where they are, and others take over. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      let live: boolean | undefined;
      try {
        live = await this.#apart("lanes", () => this.#look(signal));
      } catch (error) {
        signal.throwIfAborted();
        this.#options.onFatal(error); // the store is broken
      }
      const pauseMs = live !== false ? this.#options.busyMs : this.#options.idleMs;
      await this.#wake.pause(this.#deps.tickMinMs, pauseMs, signal);
    }
  }

  /** A job was accepted, or ended, or asked to stop: look now. */
  poke(job?: string): void {
    this.#wake.call();
    if (job !== undefined) this.#drivers.get(job)?.driver.lookForStop();
  }

  /** Something happened in a lane. */
  wakeDriver(job: string): void {
    this.#drivers.get(job)?.driver.wake();
  }

  wakeAll(): void {
    for (const { driver } of this.#drivers.values()) driver.wake();
  }

  live(job: string): LiveFacts | undefined {
    return this.#drivers.get(job)?.driver.live();
  }

  /** What each driver of this process can tell of its job. */
  driven(): LiveFacts[] {
    return [...this.#drivers.values()].flatMap(({ driver }) => driver.live() ?? []);
  }

  /** Resolves when all drivers here have ended, after `run` was aborted. */
  async drained(): Promise<void> {
    await Promise.allSettled([...this.#drivers.values()].map(({ ended }) => ended));
    await Promise.allSettled(this.#clearing.values());
  }

  /** One round over all APIs; answers whether any job lives. */
  async #look(signal: AbortSignal): Promise<boolean> {
    let live = false;
    for (const api of await this.#options.apis()) {
      const found = await this.#apart(api, () => this.#lookAt(api, signal));
      live ||= found !== false;
    }
    return live;
  }

  async #lookAt(api: string, signal: AbortSignal): Promise<boolean> {
    const jobs = await this.#active.of(api);
    if (!(await this.#cutOffs.areOver())) return jobs.length > 0;
    const lanes = await this.#lanes(api);
    const named = new Set(lanes.flatMap(({ record }) => record.job ?? []));
    for (let number = 0; number < this.#options.lanes; number += 1) {
      await this.#adopt(
        api,
        number,
        lanes.find((held) => held.lane === number),
        signal,
      );
    }
    const { waiting, elsewhere } = await this.#active.withoutLane(
      api,
      jobs.filter((job) => !named.has(job)),
    );
    // A lane that this service has no more is taken over like any other, only to be left: its queue is not there.
    for (const held of elsewhere) {
      if (held.lane >= this.#options.lanes) await this.#adopt(api, held.lane, held, signal);
    }
    await this.#grant(api, waiting, lanes, signal);
    return jobs.length > 0;
  }

  async #adopt(api: string, lane: number, held: HeldLane | undefined, signal: AbortSignal): Promise<void> {
    const place = queueLane(api, lane);
    const anew = this.#options.alone && !this.#adopted.has(place);
    const looked = held === undefined || (await this.#apart(place, () => this.#takeOver(api, held, anew, signal)));
    if (looked !== undefined) this.#adopted.add(place);
  }

  /** One API's or job's trouble (a record of another format, say) keeps no other one from its driver. */
  async #apart<T>(what: string, step: () => Promise<T>): Promise<T | undefined> {
    try {
      const done = await step();
      this.#troubles.delete(what);
      return done;
    } catch (error) {
      if (!(error instanceof Error) || error.name === "StoreBroken") throw error;
      if (this.#troubles.get(what) !== error.message) {
        this.#deps.log.warn({ at: what, err: error }, "a look failed; it is tried again at each later one");
      }
      this.#troubles.set(what, error.message);
      // a job that is gone is looked at no more: what was wrong with it would stay
      for (const oldest of this.#troubles.keys()) {
        if (this.#troubles.size <= TROUBLES_MAX) break;
        this.#troubles.delete(oldest);
      }
      return undefined;
    }
  }

  async #lanes(api: string): Promise<HeldLane[]> {
    const lanes: HeldLane[] = [];
    for (let lane = 0; lane < this.#options.lanes; lane += 1) {
      const held = await readLane(this.#deps.store, api, lane);
      if (held !== undefined) lanes.push(held);
    }
    return lanes;
  }

  /** Drives on what a dead replica drove; a start of the only service begins a new epoch of it. */
  async #takeOver(api: string, held: HeldLane, anew: boolean, signal: AbortSignal): Promise<boolean> {
    const { record, lane } = held;
    if (record.job === null || this.#drivers.has(record.job)) return false;
    if (!anew && !this.#watch.mayTakeOver(api, lane, record)) return false;
    const spec = await this.#specOrNone(api, record.job);
    if (spec === undefined) return this.#clear(api, held, record.job, signal);
    const { epoch, keep } = anew ? { epoch: record.epoch + 1, keep: {} } : record;
    await this.#own(spec, held, { ...record, epoch, keep, stop: anew ? false : record.stop }, signal);
    return true;
  }

  async #specOrNone(api: string, job: string): Promise<JobSpec | undefined> {
    try {
      return await this.#active.spec(api, job);
    } catch (error) {
      if (error instanceof DamagedObject) return undefined; // the look at the job tells of it
      throw error;
    }
  }

  /** Ends the workers of a job that nobody can drive, so that its lane serves others. */
  async #clear(api: string, held: HeldLane, job: string, signal: AbortSignal): Promise<boolean> {
    const { record, lane } = held;
    const place = queueLane(api, lane);
    if (this.#clearing.has(place)) return false;
    const [term, beat, writes] = [record.term + 1, record.beat + 1, record.writes + 1];
    const ours = { ...record, ...{ owner: this.#options.id, stop: true, term, beat, writes } };
    const won = await swapLane(this.#deps.store, api, lane, ours, held.version);
    if (won === undefined) return false;
    const lease = new LaneLease(this.#deps.store, api, won);
    const cleared = this.#apart(`lane ${place}`, async () => {
      await endWorkers(this.#deps, job, lease, signal);
      await lease.update({ job: null, owner: "", keep: {} });
    });
    this.#clearing.set(
      place,
      cleared.catch(this.#options.onFatal).finally(() => this.#clearing.delete(place)),
    );
    return true;
  }

  /** Lanes that were free at this look go to waiting jobs. They are not read again: a lane that somebody took since refuses our name. */
  async #grant(
    api: string,
    waiting: readonly WaitingJob[],
    lanes: readonly HeldLane[],
    signal: AbortSignal,
  ): Promise<void> {
    const left = waiting.map(({ spec }) => spec);
    const faults = new Map<number, string>();
    for (let lane = 0; lane < this.#options.lanes && left.length > 0; lane += 1) {
      const held = lanes.find((candidate) => candidate.lane === lane);
      const record = held?.record ?? EMPTY_LANE;
      if (record.job !== null) continue;
      const place = queueLane(api, lane);
      if ((await this.#apart(`queue ${place}`, () => this.#answers(place))) !== true) {
        faults.set(lane, this.#troubles.get(`queue ${place}`) ?? "");
        continue;
      }
      const [next] = left.sort(byGrant(record.epoch + 1));
      if (next === undefined) return;
      left.splice(left.indexOf(next), 1);
      if (this.#drivers.has(next.job)) continue;
      const { epoch, term } = await this.#newest(next, record);
      const granted = { ...record, epoch: epoch + 1, term, job: next.job, keep: {}, hand: 1, stop: false };
      await this.#own(next, held ?? { lane, record, version: undefined }, granted, signal);
    }
    const told = waiting.filter(({ spec }) => left.includes(spec));
    await this.#apart(`waiting jobs of ${api}`, () => this.#waitingTold.tell(api, told, faults));
  }

  async #answers(lane: string): Promise<true> {
    await this.#deps.queue.probe(lane);
    return true;
  }

  /** Epochs and terms rise with each grant of a lane, and with each lane of a job: it may have had another one before. */
  async #newest({ api, job }: JobSpec, lane: LaneRecord): Promise<{ readonly epoch: number; readonly term: number }> {
    const former = (await readState(this.#deps.store, api, job)).state.lane;
    return { epoch: Math.max(lane.epoch, former?.epoch ?? 0), term: Math.max(lane.term, former?.term ?? 0) };
  }

  /** Puts our name on the lane; if nobody was faster, drives the job. */
  async #own(
    spec: JobSpec,
    held: Omit<HeldLane, "version"> & { readonly version: string | undefined },
    record: LaneRecord,
    signal: AbortSignal,
  ): Promise<void> {
    const { store } = this.#deps;
    const { beat, writes } = held.record;
    const ours = { ...record, owner: this.#options.id, term: record.term + 1, beat: beat + 1, writes: writes + 1 };
    const won = await swapLane(store, spec.api, held.lane, ours, held.version);
    // A lost swap may be our own whose answer was lost; then the next look finds our name and a beat that stands still.
    if (won === undefined) return;
    this.#start(spec, won, signal);
  }

  #start(spec: JobSpec, held: HeldLane, signal: AbortSignal): void {
    const { store, log } = this.#deps;
    const driver = new Driver(this.#deps, spec, new LaneLease(store, spec.api, held));
    const ended = driver
      .run(signal)
      .catch((error: unknown) => {
        if (signal.aborted) return;
        if (error instanceof CutOff) this.#cutOffs.add(queueLane(spec.api, held.lane));
        if (error instanceof Deposed) log.info({ job: spec.job, err: error }, "another replica drives on");
        else if (error instanceof Error && ["Stalled", "StoreBroken"].includes(error.name))
          this.#options.onFatal(error);
        else log.warn({ job: spec.job, err: error }, "a driver ended; the job is taken up again");
      })
      .finally(() => {
        this.#drivers.delete(spec.job);
        this.#wake.call();
      });
    this.#drivers.set(spec.job, { driver, ended });
  }
}
