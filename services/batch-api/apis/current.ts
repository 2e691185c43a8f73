/** `current.json`: which version new jobs get. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { encodeCurrent } from "../../protocol/api-version.ts";
import type { CurrentVersion } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { readRecord } from "../jobs/stored.ts";

/** With what to swap it against. */
export interface StoredCurrent {
  readonly value: CurrentVersion;
  readonly version: string;
}

/** Read anew each time: a stack may have written it. */
export async function readCurrent(store: ObjectStore, api: string): Promise<StoredCurrent | undefined> {
  return readRecord<CurrentVersion>(store, apiKeys(api).current);
}

/** Answers whether it was still as read before. */
export async function swapCurrent(
  store: ObjectStore,
  api: string,
  next: Omit<CurrentVersion, "generation">,
  before: StoredCurrent | undefined,
): Promise<boolean> {
  const bytes = Buffer.from(encodeCurrent({ ...next, generation: (before?.value.generation ?? 0) + 1 }));
  return (await store.swap(apiKeys(api).current, bytes, before?.version)) !== undefined;
}
