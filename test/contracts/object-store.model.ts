import fc from "fast-check";
import { expect } from "vitest";
import { AppendConflict, type ObjectStore } from "../../services/backends/object-store.ts";
import type { OpenedStores } from "./opened-stores.ts";

export async function valueOf(store: ObjectStore, key: string): Promise<string | undefined> {
  return (await store.get(key))?.bytes.toString();
}

/** All keys under a prefix, by pages of `limit`. */
export async function keysUnder(store: ObjectStore, prefix: string, limit: number): Promise<readonly string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list(prefix, after === undefined ? { limit } : { limit, after });
    expect(page.entries.length).toBeLessThanOrEqual(limit);
    keys.push(...page.entries.map(({ key }) => key));
    after = page.next;
  } while (after !== undefined);
  return keys;
}

/** All names of the folders in a folder, by pages of `limit`. */
export async function foldersUnder(store: ObjectStore, folder: string, limit: number): Promise<readonly string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.folders(folder, after === undefined ? { limit } : { limit, after });
    expect(page.names.length).toBeLessThanOrEqual(limit);
    names.push(...page.names);
    after = page.next;
  } while (after !== undefined);
  return names;
}

/** What `folders` answers for a sorted listing. */
export function foldersOf(keys: readonly string[], folder: string): readonly string[] {
  const below = keys.filter((key) => key.startsWith(folder)).map((key) => key.slice(folder.length));
  return [...new Set(below.filter((key) => key.includes("/")).map((key) => key.slice(0, key.indexOf("/"))))];
}

type Kind = "object" | "record" | "log";

/** What a store should hold, as plainly as it can be said. */
class Model {
  readonly values = new Map<string, string>();
  readonly versions = new Map<string, string | undefined>();
  /** Versions that were good once and must never be again. */
  readonly pastVersions = new Map<string, Set<string>>();
  /** Who began a log, and so is its only writer. */
  readonly writers = new Map<string, ObjectStore>();
  swaps = 0;
}

type Step = (stores: OpenedStores, model: Model) => Promise<void>;

/** Keys of one kind each, none of which is another's folder, with neighbours that sort badly. */
const names = ["a", "a-", "a.b", "a0/x", "a0/y/z", "b/a.json", "b/a0", "b/a-0"];
const kinds: readonly Kind[] = ["object", "record", "log"];
const anyKey = (kind: Kind) => fc.constantFrom(...names).map((name) => `m/${name}.${kind}`);
const anyText = fc.string({ minLength: 1, maxLength: 20 });
const anyStore = fc.boolean();

function pick(stores: OpenedStores, isOne: boolean): ObjectStore {
  return isOne ? stores.one : stores.other;
}

const put: fc.Arbitrary<Step> = fc
  .tuple(anyStore, anyKey("object"), anyText)
  .map(([isOne, key, text]) => async (stores, model) => {
    expect(await pick(stores, isOne).put(key, Buffer.from(text))).toBe(!model.values.has(key));
    if (!model.values.has(key)) model.values.set(key, text);
  });

const swap: fc.Arbitrary<Step> = fc
  .tuple(anyStore, anyKey("record"), anyText, fc.constantFrom("good", "none", "past"))
  .map(([isOne, key, text, choice]) => async (stores, model) => {
    const current = model.versions.get(key);
    const past = model.pastVersions.get(key) ?? new Set<string>();
    const expected = choice === "good" ? current : choice === "past" ? [...past].at(-2) : undefined;
    const counted = `${text} ${String(++model.swaps)}`;
    const version = await pick(stores, isOne).swap(key, Buffer.from(counted), expected);
    expect(version !== undefined).toBe(expected === current);
    if (version === undefined) return;
    expect(past).not.toContain(version);
    model.versions.set(key, version);
    model.pastVersions.set(key, past.add(version));
    model.values.set(key, counted);
  });

const append: fc.Arbitrary<Step> = fc
  .tuple(anyStore, anyKey("log"), anyText, fc.integer({ min: -1, max: 1 }))
  .map(([isOne, key, text, shift]) => async (stores, model) => {
    const before = model.values.get(key) ?? "";
    const lengthBytes = Buffer.byteLength(before);
    const offset = Math.max(0, lengthBytes + shift);
    if (offset !== lengthBytes) {
      await expect(pick(stores, isOne).append(key, Buffer.from(text), offset)).rejects.toThrow(AppendConflict);
      return;
    }
    const writer = model.writers.get(key) ?? pick(stores, isOne);
    await writer.append(key, Buffer.from(text), offset);
    model.writers.set(key, writer);
    model.values.set(key, before + text);
  });

const anyKind = fc.constantFrom(...kinds);
const remove: fc.Arbitrary<Step> = fc
  .tuple(anyStore, anyKind.chain(anyKey))
  .map(([isOne, key]) => async (stores, model) => {
    await pick(stores, isOne).delete(key);
    model.values.delete(key);
    model.versions.delete(key);
    model.writers.delete(key);
  });

const look: fc.Arbitrary<Step> = fc
  .tuple(anyStore, fc.constantFrom("m/", "m/a", "m/a0", "m/a0/", "m/b/a", ""), fc.integer({ min: 1, max: 4 }))
  .map(([isOne, prefix, limit]) => async (stores, model) => {
    const store = pick(stores, isOne);
    const keys = [...model.values.keys()].filter((key) => key.startsWith(prefix)).sort();
    expect(await keysUnder(store, prefix, limit)).toEqual(keys);
    if (/(^|\/)$/.test(prefix)) expect(await foldersUnder(store, prefix, limit)).toEqual(foldersOf(keys, prefix));
    for (const key of keys) {
      const text = key.endsWith(".record") ? (await store.read(key))?.bytes.toString() : await valueOf(store, key);
      expect(text).toBe(model.values.get(key));
      if (key.endsWith(".record")) expect((await store.read(key))?.version).toBe(model.versions.get(key));
    }
  });

const steps = fc.array(fc.oneof(put, swap, swap, append, append, remove, look), { minLength: 1, maxLength: 40 });

/** Any sequence of calls, over two stores that share their state, answers as the model does. */
export function storeModelProperty(open: () => Promise<OpenedStores>) {
  return fc.asyncProperty(steps, async (sequence) => {
    const stores = await open();
    try {
      const model = new Model();
      for (const step of sequence) await step(stores, model);
    } finally {
      await stores.close();
    }
  });
}
