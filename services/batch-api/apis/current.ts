/** `current.json`: which version new jobs get. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { encodeCurrent } from "../../protocol/api-version.ts";
import type { CurrentVersion } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { readRecord } from "../jobs/stored.ts";

/** With what to swap it against. */
export interface StoredCurrent {
  readonly value: CurrentVersion;
  readonly version: string;
}

/** As it lies there, for who overwrites it: damaged or not. */
export async function readCurrentToSwap(
  store: ObjectStore,
  api: string,
): Promise<{ readonly value: CurrentVersion | undefined; readonly version: string } | undefined> {
  try {
    return await readCurrent(store, api);
  } catch (error) {
    if (!(error instanceof DamagedObject)) throw error;
    const found = await store.read(error.key);
    return found === undefined ? undefined : { value: undefined, version: found.version };
  }
}

/** Read anew each time: a stack may have written it. Throws `UnreadableObject`. */
export async function readCurrent(store: ObjectStore, api: string): Promise<StoredCurrent | undefined> {
  return readRecord<CurrentVersion>(store, apiKeys(api).current);
}

/** Answers whether it was still as read before. */
export async function swapCurrent(
  store: ObjectStore,
  api: string,
  next: Omit<CurrentVersion, "generation">,
  before: { readonly value: CurrentVersion | undefined; readonly version: string } | undefined,
): Promise<boolean> {
  const bytes = Buffer.from(encodeCurrent({ ...next, generation: (before?.value?.generation ?? 0) + 1 }));
  return (await store.swap(apiKeys(api).current, bytes, before?.version)) !== undefined;
}
