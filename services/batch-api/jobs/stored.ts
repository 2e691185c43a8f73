/** Reading stored JSON back: parsed once here, trusted afterwards. */
import type { ObjectStore } from "../../backends/object-store.ts";

/** A stored thing is of a format that this service does not read, or is damaged. */
export class StoredFormatError extends Error {
  override readonly name = "StoredFormatError";
}

/** Parses stored bytes and checks their format number, where that kind of object carries one. */
export function parseStored<T>(key: string, bytes: Buffer, format?: number): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new StoredFormatError(`${key} is not JSON: it was damaged after it was written; run millrace verify`, {
      cause,
    });
  }
  if (typeof value !== "object" || value === null) {
    throw new StoredFormatError(
      `${key} holds no JSON object: it was damaged after it was written; run millrace verify`,
    );
  }
  const found = (value as { readonly format?: unknown }).format;
  if (format !== undefined && found !== format) {
    throw new StoredFormatError(
      `${key} has format ${found === undefined ? "none" : JSON.stringify(found)}, and this service reads format ${String(format)}: ` +
        "leave it to the service version that wrote it, or upgrade this one",
    );
  }
  return value as T;
}

/** An object that never changes; undefined when there is none. Throws `StoredFormatError`. */
export async function readObject<T>(store: ObjectStore, key: string, format?: number): Promise<T | undefined> {
  const found = await store.get(key);
  return found === undefined ? undefined : parseStored<T>(key, found.bytes, format);
}

/** A record with the version to swap against; undefined when there is none. Throws `StoredFormatError`. */
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
