/** Stored JSON read back: checked once here, against the kind of its key, and trusted afterwards. */
import type { Shape } from "./shapes.ts";
import { storedKind } from "./stored-kinds.ts";

/** An object of the store that cannot be used as it lies there. The sentence names it and says what to do. */
export class UnreadableObject extends Error {
  override readonly name: string = "UnreadableObject";
  readonly key: string;

  constructor(key: string, sentence: string, options?: ErrorOptions) {
    super(sentence, options);
    this.key = key;
  }
}

/** Another version of the service wrote it, and reads it. */
export class StoredFormatError extends UnreadableObject {
  override readonly name = "StoredFormatError";
}

/** It is not what was written: truncated, emptied, replaced or removed. No retry helps; it is mended by hand. */
export class DamagedObject extends UnreadableObject {
  override readonly name = "DamagedObject";

  /** `what`: "is gone", "is not JSON"; never a value that stands in it. */
  constructor(key: string, what: string, options?: ErrorOptions) {
    super(key, `${key} ${what}: it was damaged after it was written; ${mendOf(key)}`, options);
  }
}

function mendOf(key: string): string {
  return storedKind(key)?.mend ?? "restore it from a backup";
}

/**
 * Parses stored bytes, and checks the shape of their kind and their format number, where that kind of object carries one.
 * Throws `DamagedObject`, `StoredFormatError`.
 */
export function parseStored<T>(key: string, bytes: Buffer, format?: number): T {
  const value = jsonOf(key, bytes.toString("utf8"));
  if (typeof value !== "object" || value === null) throw new DamagedObject(key, "holds no JSON object");
  const found = (value as { readonly format?: unknown }).format;
  if (format !== undefined && found !== format) {
    if (!Number.isSafeInteger(found)) throw new DamagedObject(key, "has no format number");
    throw new StoredFormatError(
      key,
      `${key} has format ${String(found)}, and this service reads format ${String(format)}: ` +
        "leave it to the service version that wrote it, or upgrade this one",
    );
  }
  const wrong = storedKind(key)?.shape?.(value, "");
  if (wrong !== undefined) throw new DamagedObject(key, `is not as it was written (${wrong})`);
  return value as T;
}

/** One line of an object that holds several. Throws `DamagedObject`. */
export function parseStoredLine<T>(key: string, line: string, shape: Shape): T {
  const value = jsonOf(key, line);
  const wrong = shape(value, "");
  if (wrong !== undefined) throw new DamagedObject(key, `holds a line that is not as it was written (${wrong})`);
  return value as T;
}

function jsonOf(key: string, json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    // the parser's words quote what it found: no cause
    throw new DamagedObject(key, json.trim() === "" ? "is empty" : "is not JSON");
  }
}
