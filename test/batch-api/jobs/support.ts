/** A job service over memory, and stores that break at a chosen call. */
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import type { Clock, Random } from "../../../services/backends/clock.ts";
import { DatasetError, type Dataset, type DatasetObject } from "../../../services/backends/dataset.ts";
import type { LogStore } from "../../../services/backends/log-store.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { createJobService, type JobServiceDeps } from "../../../services/batch-api/jobs/jobs.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import type { ApiVersion } from "../../../services/protocol/jobs.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aVersion } from "../../support/builders.ts";

export const NOW = 1_800_000_000_000;

/** Stands still until `tick`; a sleep passes at once and moves it. */
export class StepClock implements Clock {
  ms = NOW;
  onSleep: () => void | Promise<void> = () => undefined;
  monotonicMs(): number {
    return this.ms;
  }
  wallMs(): number {
    return this.ms;
  }
  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.ms += milliseconds;
    await this.onSleep();
    signal?.throwIfAborted();
  }
}

/** Counts up, so that two draws differ; `fixed` makes them alike. */
export function countingRandom(fixed?: string): Random {
  let drawn = 0;
  return {
    hex: (bytes) => (fixed !== undefined && bytes < 16 ? fixed : (drawn += 1).toString(16)).padStart(bytes * 2, "0"),
    fraction: () => 0.5,
  };
}

export function aDataset(uris: readonly string[], denied: readonly string[] = []): Dataset {
  return {
    async *list(prefix) {
      await Promise.resolve();
      if (denied.includes(prefix)) {
        throw new DatasetError("denied", prefix, `${prefix} cannot be read: grant the service read access`);
      }
      const page: DatasetObject[] = uris
        .filter((uri) => uri.startsWith(prefix))
        .map((uri) => ({ uri, sizeBytes: 1, etag: "e" }));
      yield page;
    },
    read: () => Promise.reject(new Error("not read here")),
  };
}

/** Throws once, before or after the k-th call of those that change something. */
export function breakingStore(store: ObjectStore, call: number, when: "before" | "after"): ObjectStore {
  let calls = 0;
  const step = async <T>(act: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls === call && when === "before") throw new Error("killed before a write");
    const result = await act();
    if (calls === call) throw new Error("killed after a write");
    return result;
  };
  return {
    put: (key, bytes) => step(() => store.put(key, bytes)),
    swap: (key, bytes, expected) => step(() => store.swap(key, bytes, expected)),
    append: (key, bytes, offset) => step(() => store.append(key, bytes, offset)),
    get: (key, range) => store.get(key, range),
    size: (key) => store.size(key),
    read: (key) => store.read(key),
    list: (prefix, options) => store.list(prefix, options),
    folders: (folder, options) => store.folders(folder, options),
    delete: (key) => store.delete(key),
    sync: (keys) => store.sync(keys),
    now: () => store.now(),
  };
}

const NO_LOGS: LogStore = {
  append: () => Promise.resolve(),
  read: (_job, query) => Promise.resolve({ lines: [], cursor: query.cursor ?? "" }),
  remove: () => Promise.resolve(),
};

/** A service with an API `digits` deployed. */
export async function aService(over: Partial<JobServiceDeps> = {}, version: ApiVersion = aVersion()) {
  const clock = new StepClock();
  const store = over.store ?? new MemoryStore({ clock });
  const keys = apiKeys(version.api);
  await store.put(keys.version(version.version), encodeStored(version));
  await store.swap(keys.current, encodeStored({ version: version.version, generation: 1 }), undefined);
  const poked: string[] = [];
  const deps: JobServiceDeps = {
    store,
    clock,
    random: countingRandom(),
    dataset: aDataset([]),
    logs: NO_LOGS,
    lanes: 1,
    live: () => undefined,
    poke: (_api, job) => poked.push(job),
    ...over,
  };
  return { deps, store, clock, poked, jobs: createJobService(deps) };
}

export async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).entries.map(({ key }) => key.slice(prefix.length));
}
