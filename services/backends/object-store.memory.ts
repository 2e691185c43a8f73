import type { Clock } from "./clock.ts";
import { checkFolder, checkKey, checkPrefix } from "./object-key.ts";
import { AppendConflict } from "./object-store.ts";
import type { ByteRange, FolderPage, ListPage, ObjectStore, RecordValue, StoredObject } from "./object-store.ts";

const LIST_MAX = 1_000;

type Entry =
  | { readonly kind: "object"; readonly bytes: Buffer }
  | { readonly kind: "record"; readonly bytes: Buffer; readonly version: string }
  | { readonly kind: "log"; buffer: Buffer; sizeBytes: number };

/**
 * An `ObjectStore` in memory, for tests and simulation: the same contract, nothing survives the process. Every call
 * takes effect at once, before it first yields, so that a simulation decides all interleavings.
 */
export class MemoryStore implements ObjectStore {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** The keys of `#entries` in ascending order. */
  readonly #keys: string[] = [];
  /** Counts for all keys together, so that a version never returns, not even after a delete. */
  #versions = 0;

  constructor(options: { readonly clock: Clock }) {
    this.#clock = options.clock;
  }

  async put(key: string, bytes: Buffer): Promise<boolean> {
    checkKey(key);
    if (this.#entries.has(key)) return false;
    this.#set(key, { kind: "object", bytes: Buffer.from(bytes) });
    return true;
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) checkKey(key); // one that is there was good
    if (entry === undefined || entry.kind === "record") return undefined;
    const whole = contentOf(entry);
    const wanted = range === undefined ? whole : whole.subarray(range.start, Math.max(range.start, range.end));
    return { bytes: Buffer.from(wanted), sizeBytes: whole.length };
  }

  async size(key: string): Promise<number | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) checkKey(key);
    return entry === undefined || entry.kind === "record" ? undefined : contentOf(entry).length;
  }

  async read(key: string): Promise<RecordValue | undefined> {
    const entry = this.#entries.get(key);
    if (entry === undefined) checkKey(key);
    if (entry?.kind !== "record") return undefined;
    return { bytes: Buffer.from(entry.bytes), version: entry.version };
  }

  async swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined> {
    checkKey(key);
    if (bytes.length === 0) throw new RangeError(`record ${key} would be empty; a record holds at least one byte`);
    const entry = this.#entries.get(key);
    const version = entry?.kind === "record" ? entry.version : undefined;
    if (version !== expected) return undefined;
    const next = String(++this.#versions);
    this.#set(key, { kind: "record", bytes: Buffer.from(bytes), version: next });
    return next;
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    let entry = this.#entries.get(key);
    if (entry === undefined) checkKey(key);
    const sizeBytes = entry === undefined ? 0 : contentOf(entry).length;
    if ((entry !== undefined && entry.kind !== "log") || sizeBytes !== offset) {
      throw new AppendConflict(
        `log ${key} is ${String(sizeBytes)} bytes long, not ${String(offset)}: it has another writer`,
      );
    }
    if (entry === undefined) {
      entry = { kind: "log", buffer: Buffer.alloc(bytes.length), sizeBytes: 0 };
      this.#set(key, entry);
    }
    const end = sizeBytes + bytes.length;
    if (end > entry.buffer.length) {
      const grown = Buffer.alloc(Math.max(end, entry.buffer.length * 2));
      entry.buffer.copy(grown, 0, 0, sizeBytes);
      entry.buffer = grown;
    }
    bytes.copy(entry.buffer, sizeBytes);
    entry.sizeBytes = end;
  }

  async sync(keys: readonly string[]): Promise<void> {
    for (const key of keys) checkKey(key);
  }

  async list(prefix: string, options: { readonly after?: string; readonly limit?: number } = {}): Promise<ListPage> {
    checkPrefix(prefix);
    const limit = Math.min(Math.max(options.limit ?? LIST_MAX, 1), LIST_MAX);
    const after = options.after ?? "";
    let at = after >= prefix ? this.#indexOf(after) : this.#indexOf(prefix);
    if (this.#keys[at] === after) at++;
    const entries = [];
    for (; at < this.#keys.length; at++) {
      const key = this.#keys[at] ?? "";
      if (!key.startsWith(prefix)) break;
      const last = entries.at(-1);
      if (entries.length === limit && last !== undefined) return { entries, next: last.key };
      const entry = this.#entries.get(key);
      if (entry !== undefined) entries.push({ key, sizeBytes: contentOf(entry).length });
    }
    return { entries };
  }

  async folders(
    folder: string,
    options: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<FolderPage> {
    checkFolder(folder);
    const limit = Math.min(Math.max(options.limit ?? LIST_MAX, 1), LIST_MAX);
    const names: string[] = [];
    let at = this.#indexOf(options.after === undefined ? folder : behind(`${folder}${options.after}/`));
    for (let key = this.#keys[at]; key?.startsWith(folder) === true; key = this.#keys[at]) {
      const end = key.indexOf("/", folder.length);
      if (end !== -1 && names.length === limit) return { names, next: names.at(-1) ?? "" };
      if (end !== -1) names.push(key.slice(folder.length, end));
      at = end === -1 ? at + 1 : this.#indexOf(behind(key.slice(0, end + 1)));
    }
    return { names };
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    if (this.#entries.delete(key)) this.#keys.splice(this.#indexOf(key), 1);
  }

  async now(): Promise<number> {
    return this.#clock.wallMs();
  }

  #set(key: string, entry: Entry): void {
    if (!this.#entries.has(key)) {
      this.#checkFolders(key);
      this.#keys.splice(this.#indexOf(key), 0, key);
    }
    this.#entries.set(key, entry);
  }

  /** A folder on disk cannot hold `a` beside `a/b`, so that nobody may come to depend on it here. */
  #checkFolders(key: string): void {
    const below = this.#keys[this.#indexOf(`${key}/`)];
    let above: string | undefined;
    for (let slash = key.indexOf("/"); slash !== -1; slash = key.indexOf("/", slash + 1)) {
      if (this.#entries.has(key.slice(0, slash))) above = key.slice(0, slash);
    }
    const other = below?.startsWith(`${key}/`) === true ? below : above;
    if (other !== undefined)
      throw new Error(`object key ${key} cannot be made beside ${other}: one is the other's folder`);
  }

  /** Index of the first key >= `key`. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What is greater than all keys that start so, and smaller than all others behind them. */
function behind(folder: string): string {
  return `${folder}~`;
}

function contentOf(entry: Entry): Buffer {
  return entry.kind === "log" ? entry.buffer.subarray(0, entry.sizeBytes) : entry.bytes;
}
