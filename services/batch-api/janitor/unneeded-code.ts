/**
 * Code that nothing names, by its keys and since when (`unneeded.json`): what the janitor saw, and may remove when it has stayed so.
 * Whoever makes code current again takes it off this record first; of the two writes only one succeeds, so that no code is named
 * while it is being removed.
 */
import type { ObjectStore } from "../../backends/object-store.ts";
import type { ApiVersion } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import { encodeStored, readRecord } from "../jobs/stored.ts";

export interface Unneeded {
  /** Unix milliseconds by the store's clock at which nothing named it. */
  readonly since: number;
  /** Its removal began then. */
  readonly removing?: number;
}

/** By key, or the beginning of keys for what has several. */
export type UnneededCode = Readonly<Record<string, Unneeded>>;

export interface StoredUnneeded {
  readonly code: UnneededCode;
  readonly writes: number;
  readonly version: string | undefined;
}

/** The keys of a version and of what it names, as they stand in the record; `api` is whose keys they are. */
export function codeKeys(api: string, { version, project, environment }: ApiVersion): readonly string[] {
  const keys = apiKeys(api);
  const named = [keys.version(version), keys.project(project)];
  return environment === null ? named : [...named, keys.environmentParts(environment)];
}

/** A removal takes seconds; after so long its janitor has died. */
export const REMOVING_MS = 600_000;

export async function readUnneeded(store: ObjectStore, api: string): Promise<StoredUnneeded> {
  const stored = await readRecord<{ readonly code: UnneededCode; readonly writes: number }>(
    store,
    apiKeys(api).unneeded,
  );
  if (stored === undefined) return { code: {}, writes: 0, version: undefined };
  return { ...stored.value, version: stored.version };
}

/** Undefined when somebody else was first. */
export async function swapUnneeded(
  store: ObjectStore,
  api: string,
  before: StoredUnneeded,
  code: UnneededCode,
): Promise<StoredUnneeded | undefined> {
  const writes = before.writes + 1;
  const version = await store.swap(apiKeys(api).unneeded, encodeStored({ code, writes }), before.version);
  return version === undefined ? undefined : { code, writes, version };
}

/**
 * Before code is named: from now on none of it counts as unneeded, and it takes long to become so anew. `writes` is what the record
 * counted before the code was made, or found; answers whether it has changed since. Then what was found may have been removed, and must be
 * made again. Throws `Problem` (conflict) during a removal, which takes seconds.
 */
export async function needCode(
  store: ObjectStore,
  api: string,
  keys: readonly string[],
  writes: number,
): Promise<"as it was" | "changed"> {
  for (;;) {
    const before = await readUnneeded(store, api);
    const [found, left] = split(Object.entries(before.code), ([key]) => keys.includes(key));
    if (found.length === 0) return before.writes === writes ? "as it was" : "changed";
    if (found.some(([, { removing }]) => removing !== undefined)) {
      const now = await store.now();
      if (found.some(([, { removing = -Infinity }]) => now - removing < REMOVING_MS)) {
        const what = "Old code of this API with the same content is being removed at this moment";
        throw new Problem("conflict", `${what}; deploy again in ten minutes.`);
      }
    }
    await swapUnneeded(store, api, before, Object.fromEntries(left));
  }
}

function split<T>(all: readonly T[], belongs: (one: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [all.filter(belongs), all.filter((one) => !belongs(one))];
}
