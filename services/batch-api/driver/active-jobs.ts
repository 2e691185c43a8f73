import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type JobSpec } from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { isFinal, type FinalState } from "../../protocol/states.ts";
import { readState, type StoredState } from "../jobs/state-record.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { readNamed } from "../jobs/stored.ts";
import type { DriverDeps } from "./context.ts";
import { giveUp } from "./end-damaged.ts";
import { endOfWaiting, endWaiting } from "./end-waiting.ts";
import { readLane, type HeldLane } from "./lane-lease.ts";

/** Does a step for a job; answers undefined when it failed, which is the job's trouble and nobody else's. */
export type Apart = <T>(job: string, step: () => Promise<T>) => Promise<T | undefined>;

/** A job that waits for a lane, with its state as it was read. */
export interface WaitingJob {
  readonly spec: JobSpec;
  readonly stored: StoredState;
}

export interface LanelessJobs {
  readonly waiting: readonly WaitingJob[];
  /** Lanes that jobs hold: granted just now, or such as the service had before and has no more. */
  readonly elsewhere: readonly HeldLane[];
}

/** The jobs that are not final: who waits for a lane, and what any replica does for a job that has none. */
export class ActiveJobs {
  readonly #store: ObjectStore;
  readonly #deps: Pick<DriverDeps, "splitterFor" | "say">;
  readonly #apart: Apart;
  /** Specs never change. */
  readonly #specs = new Map<string, JobSpec>();

  constructor(deps: Pick<DriverDeps, "store" | "splitterFor" | "say">, apart: Apart) {
    this.#store = deps.store;
    this.#deps = deps;
    this.#apart = apart;
  }

  /** Ids of an API's active jobs. */
  async of(api: string): Promise<string[]> {
    const prefix = apiKeys(api).active;
    const jobs: string[] = [];
    let after: string | undefined;
    do {
      const page = await this.#store.list(prefix, after === undefined ? {} : { after });
      jobs.push(...page.entries.map(({ key }) => key.slice(prefix.length)));
      after = page.next;
    } while (after !== undefined);
    const active = new Set(jobs);
    for (const [job, spec] of this.#specs) if (spec.api === api && !active.has(job)) this.#specs.delete(job);
    return jobs;
  }

  /** Throws `UnreadableObject`, also when it is gone: a job has its spec before it is active. */
  async spec(api: string, job: string): Promise<JobSpec> {
    const known = this.#specs.get(job) ?? (await readNamed<JobSpec>(this.#store, jobKeys(api, job).spec, JOB_FORMAT));
    this.#specs.set(job, known);
    return known;
  }

  /** Of jobs that none of the service's lanes names: who waits for one, and who holds another. Ends the others that need no worker for it. */
  async withoutLane(api: string, jobs: readonly string[]): Promise<LanelessJobs> {
    const waiting: WaitingJob[] = [];
    const elsewhere: HeldLane[] = [];
    for (const job of jobs) {
      const found = await this.#apart(job, () => this.#lookAtOrGiveUp(api, job));
      if (found === undefined) continue;
      if ("spec" in found) waiting.push(found);
      else elsewhere.push(found);
    }
    return { waiting, elsewhere };
  }

  /** A job that is damaged waits until its objects are mended, or a stop is asked for. */
  async #lookAtOrGiveUp(api: string, job: string): Promise<WaitingJob | HeldLane | undefined> {
    try {
      return await this.#lookAt(api, job);
    } catch (error) {
      const stop = jobKeys(api, job).stop;
      if (!(error instanceof DamagedObject) || (await this.#store.size(stop)) === undefined) throw error;
      await giveUp(this.#store, api, job, error);
      return undefined;
    }
  }

  /** A job that waits for a lane, or the lane that it has; one that neither waits nor has one is helped on. */
  async #lookAt(api: string, job: string): Promise<WaitingJob | HeldLane | undefined> {
    const spec = await this.spec(api, job);
    const stored = await readState(this.#store, api, job);
    if (isFinal(stored.state.state)) {
      await this.#clear(api, job, stored.state.state);
      return undefined;
    }
    const lane = await this.#laneOf(api, job, stored);
    if (lane !== undefined) return lane;
    const cause = await endOfWaiting(this.#store, spec, stored);
    if (cause === undefined) return { spec, stored };
    const ended = await endWaiting(this.#store, spec, stored, cause, this.#deps.splitterFor(spec));
    if (ended !== undefined) this.#deps.say(spec, `job ended: ${ended}`);
    return undefined;
  }

  /** The listing of lanes and the state are read one after the other: a lane may have come between. */
  async #laneOf(api: string, job: string, stored: StoredState): Promise<HeldLane | undefined> {
    const named = stored.state.lane;
    if (named === null) return undefined;
    const lane = await readLane(this.#store, api, named.lane);
    return lane?.record.job === job && lane.record.epoch === named.epoch ? lane : undefined;
  }

  async #clear(api: string, job: string, state: FinalState): Promise<void> {
    this.#specs.delete(job);
    await this.#store.put(apiKeys(api).endedJob(state, job), Buffer.alloc(0));
    await this.#store.delete(apiKeys(api).activeJob(job));
  }
}
