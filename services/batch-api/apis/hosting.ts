/**
 * Further APIs that one API hosts: the predecessor's `create_api`, which a worker may call. Their versions and jobs stand under the
 * host's keys and run with its rights, on its lanes; their names are theirs alone. One record says which there are.
 */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ApiVersion, type CurrentVersion, type HostedApis } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import { readNamed, readRecord } from "../jobs/stored.ts";
import type { ApiList, ApiService, ApiView, DamagedApi, Deployed } from "./api-service.ts";
import { damagedApi, noSuchApi, refuseName, type Apis } from "./apis.ts";

export interface HostingOptions {
  readonly store: ObjectStore;
  readonly apis: Apis;
  /** The API that hosts. */
  readonly host: string;
  /** How many APIs it may host. */
  readonly namesMax: number;
  /** Stops the jobs of one hosted API, and resolves when each has its final state. */
  readonly stopJobsOf: (name: string) => Promise<void>;
}

type Stored = { readonly value: HostedApis; readonly version: string } | undefined;

/** The host's own API as it is, and beside it the APIs that were made here. */
export class Hosting implements ApiService {
  readonly #options: HostingOptions;

  constructor(options: HostingOptions) {
    this.#options = options;
  }

  async list(): Promise<ApiList> {
    const { views, damaged } = await this.#options.apis.list();
    const all = { views: [...views], damaged: [...damaged] };
    try {
      const named = Object.entries((await this.#read())?.value.apis ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const found of await Promise.all(named.map(([name, current]) => this.#viewOrDamage(name, current)))) {
        if ("message" in found) all.damaged.push(found);
        else all.views.push(found);
      }
    } catch (error) {
      all.damaged.push(damagedApi(`hosted by ${this.#options.host}`, error));
    }
    return all;
  }

  async #viewOrDamage(name: string, current: CurrentVersion): Promise<ApiView | DamagedApi> {
    try {
      return await this.#view(current);
    } catch (error) {
      return damagedApi(name, error);
    }
  }

  async get(api: string): Promise<ApiView> {
    if (api === this.#options.host) return this.#options.apis.get(api);
    return this.#view(await this.#currentOf(api));
  }

  async deploy(api: string, archive: Buffer, progress: (sentence: string) => void): Promise<Deployed> {
    const { apis, host } = this.#options;
    if (api === host) return apis.deploy(api, archive, progress);
    refuseName(api);
    this.#refuseMore(api, await this.#read()); // at once, an environment after minutes
    const change = await this.#name(api, await apis.makeVersion(host, api, archive, progress));
    return { view: await this.get(api), change };
  }

  /** Its name goes first: no more jobs are accepted then. What it ran stays under the host's keys, as its jobs do. */
  async remove(api: string): Promise<void> {
    const { apis, host, stopJobsOf } = this.#options;
    if (api === host) {
      await apis.remove(api);
      return;
    }
    for (;;) {
      const before = await this.#read();
      if (before?.value.apis[api] === undefined) throw noSuchApi(api);
      const { [api]: _gone, ...others } = before.value.apis;
      if (await this.#swap(others, before)) break;
    }
    await stopJobsOf(api);
  }

  /** The version that new jobs of a hosted API get. Throws `Problem` (api_not_found). */
  async currentOf(api: string): Promise<string> {
    return (await this.#currentOf(api)).version;
  }

  async #currentOf(api: string): Promise<CurrentVersion> {
    const current = (await this.#read())?.value.apis[api];
    if (current === undefined) throw noSuchApi(api);
    return current;
  }

  /** Throws `UnreadableObject`. */
  async #view({ version }: CurrentVersion): Promise<ApiView> {
    const { store, host } = this.#options;
    const current = await readNamed<ApiVersion>(store, apiKeys(host).version(version), JOB_FORMAT);
    return { current, versions: [{ version: current.version, created_at: current.created_at }] };
  }

  #refuseMore(api: string, stored: Stored): void {
    const { host, namesMax } = this.#options;
    const names = Object.keys(stored?.value.apis ?? {});
    if (names.includes(api) || names.length < namesMax) return;
    const detail = `API ${JSON.stringify(host)} hosts ${String(names.length)} others, which is all that its owner allows (createApis); remove one of them, or deploy to a service of another API.`;
    throw new Problem("not_allowed", detail);
  }

  /** Swaps until it is so: of two deployments at once the later swap wins. */
  async #name(api: string, next: Omit<CurrentVersion, "generation">): Promise<Deployed["change"]> {
    for (;;) {
      const before = await this.#read();
      const named = before?.value.apis[api];
      if (named?.version === next.version) return "unchanged";
      this.#refuseMore(api, before);
      const current = { ...next, generation: (named?.generation ?? 0) + 1 };
      if (await this.#swap({ ...before?.value.apis, [api]: current }, before)) {
        return named === undefined ? "created" : "updated";
      }
    }
  }

  async #read(): Promise<Stored> {
    return readRecord<HostedApis>(this.#options.store, apiKeys(this.#options.host).hosted);
  }

  async #swap(apis: HostedApis["apis"], before: Stored): Promise<boolean> {
    const next: HostedApis = { apis, writes: (before?.value.writes ?? 0) + 1 };
    const key = apiKeys(this.#options.host).hosted;
    return (await this.#options.store.swap(key, Buffer.from(JSON.stringify(next)), before?.version)) !== undefined;
  }
}
