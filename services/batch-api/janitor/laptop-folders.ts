/** What lies beside a laptop's store: environments and projects that no version names, lines of jobs that are not there. */
import type { NamedFolders } from "../../backends/named-folders.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ApiVersion } from "../../protocol/jobs.ts";
import { jobStartedAt } from "../../protocol/ids.ts";
import { API_PREFIX, apiKeys, jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { readObject } from "../jobs/stored.ts";
import { Allowance } from "./allowance.ts";
import { allFolders, keysUnder } from "./objects.ts";

type Folders = Pick<NamedFolders, "names" | "remove">;

export interface LaptopFolders {
  readonly store: ObjectStore;
  readonly folders: { readonly environments: Folders; readonly projects: Folders; readonly logs: Folders };
  /** An environment that a version may be about to name. */
  readonly inUse: (environment: string) => boolean;
}

/** Folders are listed first and versions read then: what a version names by then stays, what is made later was not listed. */
export async function tidyFolders({ store, folders, inUse }: LaptopFolders, signal: AbortSignal): Promise<void> {
  const { environments, projects, logs } = folders;
  const [builtKeys, unpacked, jobs] = await Promise.all([environments.names(), projects.names(), logs.names()]);
  const all = new Allowance(Infinity, signal);
  const apis = await allFolders(store, API_PREFIX, all);
  const named = new Set<string>();
  for (const api of apis) {
    for await (const key of keysUnder(store, apiKeys(api).versions, all)) {
      const version = await readObject<ApiVersion>(store, key, JOB_FORMAT);
      if (version === undefined) continue;
      named.add(version.project);
      if (version.environment !== null) named.add(version.environment);
    }
  }
  for (const key of builtKeys) if (!named.has(key) && !inUse(key)) await environments.remove(key);
  for (const sha256 of unpacked) if (!named.has(sha256)) await projects.remove(sha256);
  const now = await store.now();
  for (const job of jobs) {
    const startedAt = jobStartedAt(job);
    if (startedAt === undefined || now - startedAt < 2 * LIMITS.submissionSecondsMax * 1000) continue;
    if (!(await isThere(store, apis, job, all))) await logs.remove(job);
  }
}

async function isThere(
  store: ObjectStore,
  apis: readonly string[],
  job: string,
  allowance: Allowance,
): Promise<boolean> {
  for (const api of apis) {
    allowance.spend();
    if ((await store.list(jobKeys(api, job).root, { limit: 1 })).entries.length > 0) return true;
  }
  return false;
}
