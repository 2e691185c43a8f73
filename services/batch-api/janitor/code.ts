/** Removes versions, archives and environments that neither new jobs nor kept ones name, when that has been so for long. */
import type { Clock } from "../../backends/clock.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ApiVersion, type HostedApis } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { readCurrent } from "../apis/current.ts";
import { readObject, readRecord } from "../jobs/stored.ts";
import type { Allowance } from "./allowance.ts";
import type { KeptJob } from "./kept-jobs.ts";
import { keysUnder, namesUnder, remove, removeUnder } from "./objects.ts";
import {
  codeKeys,
  readUnneeded,
  REMOVING_MS,
  swapUnneeded,
  type StoredUnneeded,
  type Unneeded,
} from "./unneeded-code.ts";

/** Longer than a failed `pulumi up` is left alone: its version is written, and not named yet. */
export const UNNEEDED_MS = 30 * 24 * 3600 * 1000;

/** What code an API has and which of it is named, by key. */
interface Code {
  readonly there: readonly string[];
  readonly named: ReadonlySet<string>;
}

export class CodeJanitor {
  readonly #store: ObjectStore;
  readonly #clock: Clock;

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** `keptJobs` is asked after the code was listed: what is named by then is not removed, what comes later is not looked at. */
  async look(api: string, keptJobs: () => Promise<readonly KeptJob[]>, allowance: Allowance): Promise<void> {
    const there = await this.#listed(api, allowance);
    const jobs = await keptJobs();
    // Without a spec it is not known what the job names.
    if (jobs.some(({ spec, ended, damage }) => spec === undefined && (ended === undefined || damage !== undefined)))
      return;
    const named = await this.#namedBy(api, jobs, allowance);
    if (named === undefined) return;
    allowance.spend();
    const marked = await this.#mark(api, { there, named }, await readUnneeded(this.#store, api), allowance);
    if (marked !== undefined) await this.#removeMarked(api, marked, allowance);
  }

  async #listed(api: string, allowance: Allowance): Promise<readonly string[]> {
    const keys = apiKeys(api);
    const there: string[] = [];
    for (const prefix of [keys.versions, keys.projects]) {
      for await (const key of keysUnder(this.#store, prefix, allowance)) there.push(key);
    }
    for (let after: string | undefined, more = true; more;) {
      const { names, next } = await namesUnder(this.#store, keys.environments, after, allowance);
      there.push(...names.map((name) => keys.environmentParts(name)));
      after = next;
      more = next !== undefined;
    }
    return there;
  }

  /** Undefined when what is current cannot be told: then nothing is known to be unneeded. */
  async #namedBy(
    api: string,
    jobs: readonly KeptJob[],
    allowance: Allowance,
  ): Promise<ReadonlySet<string> | undefined> {
    const keys = apiKeys(api);
    allowance.spend(2);
    const current = await readCurrent(this.#store, api);
    const hosted = await readRecord<HostedApis>(this.#store, keys.hosted);
    if (current === undefined && hosted === undefined && jobs.length === 0) return undefined;
    const versions = new Set(jobs.flatMap(({ spec }) => spec?.version ?? []));
    if (current !== undefined) versions.add(current.value.version);
    for (const { version } of Object.values(hosted?.value.apis ?? {})) versions.add(version);
    const named = new Set<string>();
    for (const version of versions) {
      allowance.spend();
      const found = await readObject<ApiVersion>(this.#store, keys.version(version), JOB_FORMAT);
      if (found === undefined)
        throw new Error(`${keys.version(version)} is gone, and a job or an API names it: deploy it again`);
      for (const key of codeKeys(api, found)) named.add(key);
    }
    return named;
  }

  /** Notes what nothing names and forgets what is named again; answers the record as it is then. */
  async #mark(
    api: string,
    { there, named }: Code,
    before: StoredUnneeded,
    allowance: Allowance,
  ): Promise<StoredUnneeded | undefined> {
    const now = await this.#store.now();
    const next: Record<string, Unneeded> = {};
    for (const key of there) {
      if (named.has(key)) continue;
      const known = before.code[key];
      const isDue = known !== undefined && now - known.since >= UNNEEDED_MS;
      next[key] = isDue ? { since: known.since, removing: now } : (known ?? { since: now });
    }
    if (JSON.stringify(next) === JSON.stringify(before.code)) return before;
    allowance.spend();
    return await swapUnneeded(this.#store, api, before, next); // a lost race is left to the next look
  }

  /** Versions first: while one is there, what it names should be. */
  async #removeMarked(api: string, marked: StoredUnneeded, allowance: Allowance): Promise<void> {
    const removing = Object.keys(marked.code).filter((key) => marked.code[key]?.removing !== undefined);
    if (removing.length === 0) return;
    const keys = apiKeys(api);
    const beganMs = this.#clock.monotonicMs();
    for (const key of removing.sort(
      (a, b) => Number(b.startsWith(keys.versions)) - Number(a.startsWith(keys.versions)),
    )) {
      if (this.#clock.monotonicMs() - beganMs > REMOVING_MS / 2) return; // whoever waits for it soon waits no more
      // Its end first: an environment without one is not there, with one it is whole.
      if (key.endsWith("/")) await removeUnder(this.#store, [`${key}end.json`, key], allowance);
      else await remove(this.#store, key, allowance);
    }
    allowance.spend();
    const left = Object.entries(marked.code).filter(([key]) => !removing.includes(key));
    await swapUnneeded(this.#store, api, marked, Object.fromEntries(left));
  }
}
