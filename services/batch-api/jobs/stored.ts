/** Reading stored JSON back: checked in `protocol/stored.ts`, by the kind of its key. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { DamagedObject, parseStored } from "../../protocol/stored.ts";

/** An object that never changes; undefined when there is none. Throws `UnreadableObject`. */
export async function readObject<T>(store: ObjectStore, key: string, format?: number): Promise<T | undefined> {
  const found = await store.get(key);
  return found === undefined ? undefined : parseStored<T>(key, found.bytes, format);
}

/** One that must be there, because another one names it. Throws `UnreadableObject`. */
export async function readNamed<T>(store: ObjectStore, key: string, format?: number): Promise<T> {
  const found = await readObject<T>(store, key, format);
  if (found === undefined) throw new DamagedObject(key, "is gone");
  return found;
}

/** A record with the version to swap against; undefined when there is none. Throws `UnreadableObject`. */
export async function readRecord<T>(
  store: ObjectStore,
  key: string,
  format?: number,
): Promise<{ readonly value: T; readonly version: string } | undefined> {
  const found = await store.read(key);
  if (found === undefined) return undefined;
  return { value: parseStored<T>(key, found.bytes, format), version: found.version };
}

export function encodeStored(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
