/** Listing and removing with an allowance. */
import type { ObjectStore } from "../../backends/object-store.ts";
import type { Allowance } from "./allowance.ts";

export async function* keysUnder(store: ObjectStore, prefix: string, allowance: Allowance): AsyncGenerator<string> {
  for (let after: string | undefined, more = true; more;) {
    allowance.spend();
    const page = await store.list(prefix, after === undefined ? {} : { after });
    for (const { key } of page.entries) yield key;
    after = page.next;
    more = after !== undefined;
  }
}

export async function remove(store: ObjectStore, key: string, allowance: Allowance): Promise<void> {
  allowance.spend();
  await store.delete(key);
  allowance.noteRemoved();
}

/** Removes all keys under the prefixes, in their order. Listed again after an interruption, so that nothing is left. */
export async function removeUnder(
  store: ObjectStore,
  prefixes: readonly string[],
  allowance: Allowance,
): Promise<void> {
  for (const prefix of prefixes) {
    for await (const key of keysUnder(store, prefix, allowance)) await remove(store, key, allowance);
  }
}

/** Names under a prefix, from `after` on: at most a page of them. */
export interface Names {
  readonly names: readonly string[];
  readonly next?: string;
}

/** What stands right under a prefix that has no folders. */
export async function namesUnder(
  store: ObjectStore,
  prefix: string,
  after: string | undefined,
  allowance: Allowance,
): Promise<Names> {
  allowance.spend();
  const { entries, next } = await store.list(prefix, after === undefined ? {} : { after: prefix + after });
  const names = entries.map(({ key }) => key.slice(prefix.length));
  return next === undefined ? { names } : { names, next: next.slice(prefix.length) };
}

/** So few that a pass comes through them: what it did not come through is looked at again by the next one. */
const FOLDERS_MAX = 200;

/** The folders right under one, without a look at what they hold. */
export async function foldersUnder(
  store: ObjectStore,
  folder: string,
  after: string | undefined,
  allowance: Allowance,
): Promise<Names> {
  allowance.spend();
  return await store.folders(folder, { limit: FOLDERS_MAX, ...(after === undefined ? {} : { after }) });
}

export async function allFolders(store: ObjectStore, folder: string, allowance: Allowance): Promise<readonly string[]> {
  const found: string[] = [];
  for (let after: string | undefined, more = true; more;) {
    const { names, next } = await foldersUnder(store, folder, after, allowance);
    found.push(...names);
    after = next;
    more = next !== undefined;
  }
  return found;
}
