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

/** The names that stand next under a prefix (`<prefix><name>/…`), from `after` on, at most a page of them. */
export async function namesUnder(
  store: ObjectStore,
  prefix: string,
  after: string | undefined,
  allowance: Allowance,
): Promise<{ readonly names: readonly string[]; readonly next: string | undefined }> {
  allowance.spend();
  // "0" is the character after "/": behind all keys of this name, before those of the next one.
  const page = await store.list(prefix, after === undefined ? {} : { after: `${prefix}${after}0` });
  const names = new Set(page.entries.map(({ key }) => key.slice(prefix.length).split("/")[0] ?? ""));
  const next = page.next === undefined ? undefined : [...names].at(-1);
  return { names: [...names], next };
}
