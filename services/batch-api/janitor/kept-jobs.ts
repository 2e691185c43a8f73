/** The jobs that an API keeps, with what the janitor must know of each. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, parentsOf, type JobSpec } from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { FINAL_STATES, isFinal, type FinalState } from "../../protocol/states.ts";
import { readState } from "../jobs/state-record.ts";
import { readObject } from "../jobs/stored.ts";
import type { Allowance } from "./allowance.ts";
import { keysUnder } from "./objects.ts";

export interface KeptJob {
  readonly job: string;
  /** Undefined: its removal has begun, or its acceptance is under way. */
  readonly spec: KeptSpec | undefined;
  /** The state that its marker says; undefined: it is active. */
  readonly ended: FinalState | undefined;
  /** Unix milliseconds by the store's clock; undefined while it is active. */
  readonly endedAt: number | undefined;
  /** Which of its objects is damaged, in a sentence: nothing of the job is removed. */
  readonly damage?: string;
}

/** What its spec names. */
interface KeptSpec {
  readonly version: string;
  /** Jobs whose objects it reads: those that it retries. */
  readonly parents: readonly string[];
}

/**
 * A job is kept while a marker stands for it. Specs and ends never change, so each is read once in a process's life; what
 * a listing costs does not grow with what jobs hold.
 */
export class KeptJobs {
  readonly #store: ObjectStore;
  readonly #specs = new Map<string, KeptSpec>();
  readonly #ends = new Map<string, number>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * Newest first. `active/` is read before `ended/`: a job that ends meanwhile has its other marker before it loses this one,
   * so none that was accepted before the call is missed.
   */
  async list(api: string, allowance: Allowance): Promise<readonly KeptJob[]> {
    const keys = apiKeys(api);
    const ended = new Map<string, FinalState | undefined>();
    for await (const key of keysUnder(this.#store, keys.active, allowance))
      ended.set(key.slice(keys.active.length), undefined);
    for (const state of FINAL_STATES) {
      const prefix = keys.endedJob(state, "");
      for await (const key of keysUnder(this.#store, prefix, allowance)) ended.set(key.slice(prefix.length), state);
    }
    const jobs: KeptJob[] = [];
    for (const [job, state] of [...ended].sort(([a], [b]) => (a < b ? -1 : 1))) {
      jobs.push(await this.#lookAt(api, job, state, allowance));
    }
    for (const known of this.#specs.keys()) {
      if (!known.startsWith(`${api}/`) || ended.has(known.slice(api.length + 1))) continue;
      this.#specs.delete(known);
      this.#ends.delete(known);
    }
    return jobs;
  }

  async #lookAt(api: string, job: string, ended: FinalState | undefined, allowance: Allowance): Promise<KeptJob> {
    try {
      const spec = await this.#specOf(api, job, allowance);
      const endedAt = ended === undefined || spec === undefined ? undefined : await this.#endOf(api, job, allowance);
      return { job, spec, ended, endedAt };
    } catch (error) {
      if (!(error instanceof DamagedObject)) throw error;
      return { job, spec: undefined, ended, endedAt: undefined, damage: error.message };
    }
  }

  async #specOf(api: string, job: string, allowance: Allowance): Promise<KeptJob["spec"]> {
    const known = this.#specs.get(`${api}/${job}`);
    if (known !== undefined) return known;
    allowance.spend();
    const spec = await readObject<JobSpec>(this.#store, jobKeys(api, job).spec, JOB_FORMAT);
    if (spec === undefined) return undefined;
    const kept = { version: spec.version, parents: parentsOf(spec) };
    this.#specs.set(`${api}/${job}`, kept);
    return kept;
  }

  async #endOf(api: string, job: string, allowance: Allowance): Promise<number | undefined> {
    const known = this.#ends.get(`${api}/${job}`);
    if (known !== undefined) return known;
    allowance.spend();
    const { state } = await readState(this.#store, api, job);
    const at = isFinal(state.state) ? state.at[state.state] : undefined;
    if (at !== undefined) this.#ends.set(`${api}/${job}`, at);
    return at;
  }
}

/**
 * From when on the days of each ended job count: its own end, or that of the last retry of it that is kept (a family of jobs
 * is read as one). A job with an active retry is left out.
 */
export function countedFrom(jobs: readonly KeptJob[]): ReadonlyMap<string, number> {
  const from = new Map<string, number>();
  for (const { job, endedAt } of jobs) if (endedAt !== undefined) from.set(job, endedAt);
  // Newest first, so that a retry of a retry has reached its parent before that one's turn comes.
  const held = new Set<string>();
  for (const { job, spec, ended } of jobs) {
    for (const parent of spec?.parents ?? []) {
      if (ended === undefined || held.has(job) || !from.has(job)) held.add(parent);
      else from.set(parent, Math.max(from.get(parent) ?? 0, from.get(job) ?? 0));
    }
  }
  for (const job of held) from.delete(job);
  return from;
}
