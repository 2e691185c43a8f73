/**
 * Removes what submissions left that were never accepted: their process died, or their client gave up. A submission is completed
 * within `LIMITS.submissionSecondsMax` of the time in its job's id or never (`accept.ts`), and looked at here when it is twice as old.
 */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type JobSpec } from "../../protocol/jobs.ts";
import { jobStartedAt } from "../../protocol/ids.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { FINAL_STATES, isFinal } from "../../protocol/states.ts";
import { candidateJob, type Claim } from "../jobs/idempotency.ts";
import { readState } from "../jobs/state-record.ts";
import { readObject } from "../jobs/stored.ts";
import type { Allowance } from "./allowance.ts";
import type { KeptJob } from "./kept-jobs.ts";
import { foldersUnder, namesUnder, remove, removeUnder } from "./objects.ts";

const AGE_MS = 2 * LIMITS.submissionSecondsMax * 1000;
/** Between two walks over all jobs and keys: what they find is days old. */
const WALK_MS = 6 * 3600 * 1000;
/** Job ids that a submission may have come to when others had its first one. */
const CANDIDATES = 3;

/** Where a walk over names stands; undefined: at the beginning. */
interface Walk {
  after: string | undefined;
  /** Unix milliseconds by the store's clock: not before then. */
  nextAt: number;
}

export class Leftovers {
  readonly #store: ObjectStore;
  readonly #walks = new Map<string, Walk>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async look(api: string, jobs: readonly KeptJob[], allowance: Allowance): Promise<void> {
    const now = await this.#store.now();
    const kept = new Set(jobs.map(({ job }) => job));
    for (const { job, spec, ended, damage } of jobs) {
      if (damage === undefined && spec === undefined && ended === undefined && isOld(job, now))
        await this.#unmark(api, job, allowance);
    }
    const keys = apiKeys(api);
    await this.#walk(keys.jobs, foldersUnder, now, allowance, async (job) => {
      if (!kept.has(job) && isOld(job, now)) await this.#removeLost(api, job, allowance);
    });
    await this.#walk(keys.idempotencies, namesUnder, now, allowance, async (name) => {
      await this.#lookAtClaim(api, name, { kept, now }, allowance);
    });
  }

  /** Goes on where the pass before ended. */
  async #walk(
    prefix: string,
    pageOf: typeof namesUnder,
    now: number,
    allowance: Allowance,
    each: (name: string) => Promise<void>,
  ): Promise<void> {
    const walk = this.#walks.get(prefix) ?? { after: undefined, nextAt: 0 };
    this.#walks.set(prefix, walk);
    if (now < walk.nextAt) return;
    for (;;) {
      const { names, next } = await pageOf(this.#store, prefix, walk.after, allowance);
      for (const name of names) await each(name);
      walk.after = next;
      if (next === undefined) break;
    }
    walk.nextAt = now + WALK_MS;
  }

  /** A marker whose job was never written, or was removed: an acceptance that woke up after days put it. */
  async #unmark(api: string, job: string, allowance: Allowance): Promise<void> {
    allowance.spend(2);
    if ((await this.#store.read(jobKeys(api, job).state)) !== undefined) return; // its spec was damaged: verify tells
    if ((await this.#store.size(jobKeys(api, job).spec)) !== undefined) return;
    await remove(this.#store, apiKeys(api).activeJob(job), allowance);
  }

  /** Read anew, one after the other as acceptance and end write them: a job that has a marker or a state is not lost. */
  async #removeLost(api: string, job: string, allowance: Allowance): Promise<void> {
    const keys = apiKeys(api);
    allowance.spend(2 + FINAL_STATES.length);
    if ((await this.#store.size(keys.activeJob(job))) !== undefined) return;
    for (const state of FINAL_STATES) if ((await this.#store.size(keys.endedJob(state, job))) !== undefined) return;
    const { state, version } = await readState(this.#store, api, job);
    if (isFinal(state.state)) await this.#store.put(keys.endedJob(state.state, job), Buffer.alloc(0)); // it was lost
    if (version !== undefined) return; // one that has not ended was accepted, and lost its marker: verify tells
    await remove(this.#store, jobKeys(api, job).spec, allowance);
    await removeUnder(this.#store, [jobKeys(api, job).root], allowance);
  }

  /** An idempotency key stands for its job as long as that is kept. */
  async #lookAtClaim(
    api: string,
    name: string,
    { kept, now }: { readonly kept: ReadonlySet<string>; readonly now: number },
    allowance: Allowance,
  ): Promise<void> {
    const key = apiKeys(api).idempotency(name);
    allowance.spend();
    const claim = await readObject<Claim>(this.#store, key);
    if (claim === undefined || !isOld(claim.job, now)) return;
    for (let candidate = 0; candidate < CANDIDATES; candidate += 1) {
      const job = candidateJob(claim, candidate);
      if (candidate === 0 && kept.has(job)) return;
      allowance.spend();
      const spec = await readObject<JobSpec>(this.#store, jobKeys(api, job).spec, JOB_FORMAT);
      if (spec?.submission === claim.submission) return;
    }
    await remove(this.#store, key, allowance);
  }
}

function isOld(job: string, now: number): boolean {
  const startedAt = jobStartedAt(job);
  return startedAt !== undefined && now - startedAt >= AGE_MS;
}
