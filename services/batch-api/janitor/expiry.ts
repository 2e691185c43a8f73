/**
 * Ends what jobs leave behind, by the retention settings: results first, then the record.
 *
 * The end of results is announced, and only carried out when no submission that began before the announcement can be under way any
 * more: a retry that needs them is seen by then, and takes the announcement back.
 */
import type { LogStore } from "../../backends/log-store.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT } from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { Retention, RetentionRecord } from "../../protocol/retention.ts";
import { UnreadableObject } from "../../protocol/stored.ts";
import { FINAL_STATES } from "../../protocol/states.ts";
import { encodeStored, readRecord } from "../jobs/stored.ts";
import type { Allowance } from "./allowance.ts";
import { countedFrom, type KeptJob } from "./kept-jobs.ts";
import { keysUnder, remove, removeUnder } from "./objects.ts";

export interface ExpiryOptions {
  readonly store: ObjectStore;
  readonly retention: Retention;
  /** How its owner says how long results are kept. */
  readonly resultsSetting: string;
  /** A job's lines, which go with its record at the latest; absent: they have a retention of their own. */
  readonly logs?: { readonly store: Pick<LogStore, "remove">; readonly days: number | null };
}

/** Twice as long as a submission may take: none that is under way at the announcement is still so then. */
const SETTLE_MS = 2 * LIMITS.submissionSecondsMax * 1000;
const DAY_MS = 24 * 3600 * 1000;

type Stored = { readonly value: RetentionRecord; readonly version: string } | undefined;

export class Expiry {
  readonly #options: ExpiryOptions;
  /** Jobs whose results are gone: nothing more to do before their record's turn. */
  readonly #emptied = new Set<string>();
  /** Jobs that had no announcement: none is made before the end of their days. */
  readonly #untouched = new Set<string>();
  /** Jobs whose lines are gone. */
  readonly #silent = new Set<string>();
  /** Jobs whose objects that only their workers read are gone. */
  readonly #tidied = new Set<string>();

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /**
   * Oldest first, so that an allowance that is spent was spent on what is due longest. A job whose own record of this is damaged
   * is told to `onDamage`, and left alone.
   */
  async look(
    api: string,
    jobs: readonly KeptJob[],
    allowance: Allowance,
    onDamage: (job: string, message: string) => void,
  ): Promise<void> {
    const from = countedFrom(jobs);
    const now = await this.#options.store.now();
    for (const kept of [...jobs].reverse()) {
      if (kept.ended === undefined || kept.damage !== undefined) continue;
      try {
        if (kept.spec === undefined) await this.#goOnRemoving(api, kept, allowance);
        else await this.#lookAt(api, kept, { now, from: from.get(kept.job) }, allowance);
      } catch (error) {
        if (!(error instanceof UnreadableObject)) throw error;
        onDamage(kept.job, error.message);
      }
    }
    const known = new Set(jobs.map(({ job }) => `${api}/${job}`));
    for (const set of [this.#emptied, this.#untouched, this.#silent, this.#tidied]) {
      for (const place of set) if (place.startsWith(`${api}/`) && !known.has(place)) set.delete(place);
    }
  }

  async #lookAt(
    api: string,
    kept: KeptJob,
    { now, from }: { readonly now: number; readonly from: number | undefined },
    allowance: Allowance,
  ): Promise<void> {
    const { retention, logs } = this.#options;
    const { resultsDays, recordsDays } = retention;
    const { job } = kept;
    const place = `${api}/${job}`;
    const due = (days: number | null) => days !== null && from !== undefined && now >= from + days * DAY_MS;
    if (!this.#tidied.has(place) && (await this.#isOver(api, job, allowance))) {
      await removeUnder(this.#options.store, [jobKeys(api, job).isolations], allowance);
      this.#tidied.add(place);
    }
    if (logs !== undefined && due(logs.days) && !this.#silent.has(place)) {
      allowance.spend();
      await logs.store.remove(job);
      this.#silent.add(place);
    }
    if (due(resultsDays)) {
      const isGone = this.#emptied.has(place) || (await this.#endResults(api, job, resultsDays ?? 0, now, allowance));
      if (isGone && due(recordsDays) && (await this.#isOver(api, job, allowance))) {
        await this.#removeRecord(api, kept, allowance);
      }
    } else if (!this.#emptied.has(place) && !this.#untouched.has(place)) {
      await this.#takeBack(api, job, allowance);
    }
  }

  /** A step towards their end; answers whether they are gone. */
  async #endResults(api: string, job: string, days: number, now: number, allowance: Allowance): Promise<boolean> {
    const { store, resultsSetting: setting } = this.#options;
    const keys = jobKeys(api, job);
    this.#untouched.delete(`${api}/${job}`);
    allowance.spend();
    const stored: Stored = await readRecord(store, keys.retention, JOB_FORMAT);
    if (stored === undefined || stored.value.state === "kept") {
      await this.#swap(keys.retention, stored, { state: "announced", at: now, setting, days }, allowance);
      return false;
    }
    if (stored.value.state === "ending") return true;
    if (stored.value.state === "announced") {
      if (now - stored.value.at < SETTLE_MS) return false;
      await this.#swap(keys.retention, stored, { ...stored.value, state: "removing" }, allowance);
      return false; // whoever was first: the next look finds it so
    }
    if (stored.value.state === "removing") {
      await removeUnder(store, [keys.partsOfResults, keys.partsOfErrors, keys.parts, keys.indexes], allowance);
      await this.#swap(keys.retention, stored, { ...stored.value, state: "removed" }, allowance);
    }
    this.#emptied.add(`${api}/${job}`);
    return true;
  }

  /** Results that are not due, because a retry of the job is kept, or the setting was raised. */
  async #takeBack(api: string, job: string, allowance: Allowance): Promise<void> {
    const { store } = this.#options;
    const key = jobKeys(api, job).retention;
    allowance.spend();
    const stored: Stored = await readRecord(store, key, JOB_FORMAT);
    if (stored === undefined || stored.value.state === "kept") this.#untouched.add(`${api}/${job}`);
    else if (stored.value.state === "announced")
      await this.#swap(key, stored, { ...stored.value, state: "kept" }, allowance);
    else await this.#endResults(api, job, stored.value.days, stored.value.at, allowance); // what has begun is ended
  }

  async #swap(key: string, stored: Stored, next: Omit<RetentionRecord, "format" | "writes">, allowance: Allowance) {
    allowance.spend();
    const record: RetentionRecord = { ...next, format: JOB_FORMAT, writes: (stored?.value.writes ?? 0) + 1 };
    await this.#options.store.swap(key, encodeStored(record), stored?.version);
  }

  /** Read anew: whoever still gives back what an ended job held has its marker under active/. */
  async #isOver(api: string, job: string, allowance: Allowance): Promise<boolean> {
    allowance.spend();
    return (await this.#options.store.size(apiKeys(api).activeJob(job))) === undefined;
  }

  /**
   * The spec goes first: without it the job is no longer there for anybody, and a replay of its submission, which is too old by
   * now, cannot complete it. The word that all of it goes, and the marker, go last: until then the next look goes on here.
   */
  async #removeRecord(api: string, { job, spec }: KeptJob, allowance: Allowance): Promise<void> {
    const { store, logs } = this.#options;
    const keys = jobKeys(api, job);
    allowance.spend();
    const stored: Stored = await readRecord(store, keys.retention, JOB_FORMAT);
    if (stored === undefined) return;
    if (stored.value.state !== "ending") {
      await this.#swap(keys.retention, stored, { ...stored.value, state: "ending" }, allowance);
      return; // whoever was first: the next look finds it so
    }
    for (const parent of spec?.parents ?? []) await remove(store, jobKeys(api, parent).retry(job), allowance);
    await remove(store, keys.spec, allowance);
    for await (const key of keysUnder(store, keys.root, allowance)) {
      if (key !== keys.retention) await remove(store, key, allowance);
    }
    allowance.spend();
    await logs?.store.remove(job);
    await remove(store, keys.retention, allowance);
    await this.#unmark(api, job, allowance);
  }

  /** A job without a spec: its removal was interrupted, unless somebody else removed that object; then nothing more goes. */
  async #goOnRemoving(api: string, kept: KeptJob, allowance: Allowance): Promise<void> {
    const { store } = this.#options;
    const keys = jobKeys(api, kept.job);
    allowance.spend(2);
    const stored: Stored = await readRecord(store, keys.retention, JOB_FORMAT);
    if (stored?.value.state === "ending") await this.#removeRecord(api, kept, allowance);
    const { entries } = await store.list(keys.root, { limit: 1 });
    if (entries.length === 0) await this.#unmark(api, kept.job, allowance);
  }

  async #unmark(api: string, job: string, allowance: Allowance): Promise<void> {
    for (const state of FINAL_STATES) await remove(this.#options.store, apiKeys(api).endedJob(state, job), allowance);
  }
}
