/** Removes versions, archives and environments that neither new jobs nor kept ones name, when that has been so for long. */
import type { Clock } from "../../backends/clock.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ApiVersion, type HostedApis } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { readCurrent } from "../apis/current.ts";
import { readObject, readRecord } from "../jobs/stored.ts";
import type { Allowance } from "./allowance.ts";
import type { KeptJob } from "./kept-jobs.ts";
import { allFolders, keysUnder, remove } from "./objects.ts";
import {
  codeKeys,
  readUnneeded,
  REMOVING_MS,
  swapUnneeded,
  type StoredUnneeded,
  type Unneeded,
} from "./unneeded-code.ts";

/** Longer than a failed `pulumi up` is left alone: its version is written, and not named yet. */
const UNNEEDED_MS = 30 * 24 * 3600 * 1000;

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
    const beganMs = this.#clock.monotonicMs();
    allowance.spend();
    const mark = await this.#mark(api, { there, named }, await readUnneeded(this.#store, api), allowance);
    if (mark !== undefined) await this.#removeMarked(api, mark, beganMs, allowance);
  }

  async #listed(api: string, allowance: Allowance): Promise<readonly string[]> {
    const keys = apiKeys(api);
    const there: string[] = [];
    for (const prefix of [keys.versions, keys.projects]) {
      for await (const key of keysUnder(this.#store, prefix, allowance)) there.push(key);
    }
    const environments = await allFolders(this.#store, keys.environments, allowance);
    return [...there, ...environments.map((name) => keys.environmentParts(name))];
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

  /** Notes what nothing names and forgets what is named again; answers what is this call's to remove. */
  async #mark(
    api: string,
    { there, named }: Code,
    before: StoredUnneeded,
    allowance: Allowance,
  ): Promise<Mark | undefined> {
    const now = await this.#store.now();
    const next: Record<string, Unneeded> = {};
    const due: string[] = [];
    for (const key of there) {
      if (named.has(key)) continue;
      const known = before.code[key] ?? { since: now };
      // One that is being removed is its remover's, until that must have ended: a second one could remove what is made anew.
      const isDue = now - known.since >= UNNEEDED_MS && now - (known.removing ?? -Infinity) >= REMOVING_MS;
      if (isDue) due.push(key);
      next[key] = isDue ? { since: known.since, removing: now } : known;
    }
    if (JSON.stringify(next) === JSON.stringify(before.code)) return undefined;
    // Listed before the removal is written down: what a builder makes anew has other names, but for its end.
    const objects = await this.#objectsOf(api, due, allowance);
    allowance.spend();
    const record = await swapUnneeded(this.#store, api, before, next); // a lost race is left to the next look
    return record === undefined || due.length === 0 ? undefined : { record, due, objects };
  }

  /** Versions first: while one is there, what it names should be. An environment's end first: with one it is whole. */
  async #objectsOf(api: string, due: readonly string[], allowance: Allowance): Promise<readonly string[]> {
    const versions = due.filter((key) => key.startsWith(apiKeys(api).versions));
    const objects = [...versions];
    for (const key of due.filter((each) => !versions.includes(each))) {
      if (!key.endsWith("/")) objects.push(key);
      else {
        objects.push(`${key}end.json`);
        for await (const each of keysUnder(this.#store, key, allowance)) objects.push(each);
      }
    }
    return [...new Set(objects)];
  }

  async #removeMarked(
    api: string,
    { record, due, objects }: Mark,
    beganMs: number,
    allowance: Allowance,
  ): Promise<void> {
    for (const key of objects) {
      if (this.#clock.monotonicMs() - beganMs > REMOVING_MS / 2) return; // soon it is no longer ours
      await remove(this.#store, key, allowance);
    }
    for (let before = record; ;) {
      allowance.spend(2);
      const left = Object.entries(before.code).filter(([key]) => !due.includes(key));
      if ((await swapUnneeded(this.#store, api, before, Object.fromEntries(left))) !== undefined) return;
      before = await readUnneeded(this.#store, api);
    }
  }
}

interface Mark {
  readonly record: StoredUnneeded;
  readonly due: readonly string[];
  /** In the order in which they go. */
  readonly objects: readonly string[];
}
