import type { RecordValue } from "../object-store.ts";
import { isAbsence, parentOf } from "./durable-folder.ts";
import type { DurableFolder } from "./durable-folder.ts";
import type { FileFacts } from "./file-system.ts";

/**
 * So many of the newest files of a chain stay. A link that filled a gap left by removal is then at least this far
 * below the top, which is how a writer that slept between its look and its link finds out.
 */
const KEPT = 3;
const CACHED_RECORDS_MAX = 256;
const CACHED_BYTES_MAX = 64 * 1024;

interface Top {
  readonly number: number;
  /** Undefined: the record was deleted. Its empty file stays, or a version could come back. */
  readonly bytes: Buffer | undefined;
  readonly identity: string;
}

/**
 * A record `<key>` as a chain of complete files `<key>@1`, `<key>@2`, …: the highest number is the value, and its
 * number the version. `link(2)` makes the next one and fails if it exists; that is the whole compare-and-swap. Old ones
 * are removed in ascending order only, therefore: n exists and n + 1 does not = n is the value.
 */
export class RecordChains {
  readonly #folder: DurableFolder;
  readonly #cache = new Map<string, Top>();

  constructor(folder: DurableFolder) {
    this.#folder = folder;
  }

  async read(key: string): Promise<RecordValue | undefined> {
    const top = await this.#top(key);
    return top?.bytes === undefined ? undefined : { bytes: Buffer.from(top.bytes), version: String(top.number) };
  }

  async swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined> {
    if (bytes.length === 0) throw new RangeError(`record ${key} would be empty; a record holds at least one byte`);
    const top = await this.#top(key);
    const version = top?.bytes === undefined ? undefined : String(top.number);
    if (version !== expected) return undefined;
    const number = (top?.number ?? 0) + 1;
    return (await this.#extend(key, number, bytes)) ? String(number) : undefined;
  }

  /** True when there was a record. */
  async delete(key: string): Promise<boolean> {
    for (;;) {
      const top = await this.#top(key);
      if (top?.bytes === undefined) return false;
      if (await this.#extend(key, top.number + 1, Buffer.alloc(0))) break;
    }
    const numbers = await this.#numbers(key);
    await this.#removeBelow(key, numbers, numbers.at(-1) ?? 0);
    return true;
  }

  /** Makes file `number` of a chain; false when somebody else did, or may have. */
  async #extend(key: string, number: number, bytes: Buffer): Promise<boolean> {
    const path = this.#path(key, number);
    if (!(await this.#folder.create(path, bytes))) return false;
    const numbers = await this.#numbers(key);
    const top = numbers.at(-1) ?? number;
    const won = top < number + KEPT && !(await this.#deletedSince(key, number, top));
    await this.#folder.syncNames(path);
    // Ascending, and only what the names just synced stand above.
    await this.#removeBelow(key, numbers, won ? top - KEPT + 1 : number + 1);
    return won;
  }

  /**
   * If we slept before the link, `number` may have been made and removed meanwhile: by swaps, and the chain is KEPT or
   * more above it, or by a delete, and its empty file stands above it. We may also have won and slept after the link.
   * Nobody can tell, so the answer is "somebody else was first", which is true by now.
   */
  async #deletedSince(key: string, number: number, top: number): Promise<boolean> {
    for (let above = number + 1; above <= top; above++) {
      if ((await this.#facts(key, above))?.sizeBytes === 0) return true;
    }
    return false;
  }

  async #top(key: string): Promise<Top | undefined> {
    const cached = this.#cache.get(key);
    if (cached !== undefined && (await this.#isTop(key, cached))) return cached;
    for (;;) {
      const number = (await this.#numbers(key)).at(-1);
      if (number === undefined) return undefined;
      const top = await this.#load(key, number);
      if (top === undefined) continue; // Two swaps passed us between the listing and the reading.
      this.#remember(key, top);
      return top;
    }
  }

  async #isTop(key: string, cached: Top): Promise<boolean> {
    // In this order: the other way round two swaps could pass between the two looks.
    if ((await this.#facts(key, cached.number + 1)) !== undefined) return false;
    return (await this.#facts(key, cached.number))?.identity === cached.identity;
  }

  async #facts(key: string, number: number): Promise<FileFacts | undefined> {
    try {
      return await this.#folder.files.stat(this.#path(key, number));
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  async #load(key: string, number: number): Promise<Top | undefined> {
    const { files } = this.#folder;
    try {
      const fd = await files.open(this.#path(key, number), "read");
      try {
        const { sizeBytes, identity } = await files.fstat(fd);
        const bytes = Buffer.alloc(sizeBytes);
        if (sizeBytes > 0) await files.read(fd, bytes, 0);
        return { number, bytes: sizeBytes === 0 ? undefined : bytes, identity };
      } finally {
        await files.close(fd);
      }
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  #remember(key: string, top: Top): void {
    this.#cache.delete(key);
    if ((top.bytes?.length ?? 0) > CACHED_BYTES_MAX) return;
    const oldest = this.#cache.size >= CACHED_RECORDS_MAX ? this.#cache.keys().next().value : undefined;
    if (oldest !== undefined) this.#cache.delete(oldest);
    this.#cache.set(key, top);
  }

  /** The numbers of a chain's files, ascending. */
  async #numbers(key: string): Promise<readonly number[]> {
    const path = this.#folder.pathOf(key);
    const prefix = `${path.slice(path.lastIndexOf("/") + 1)}@`;
    const numbers = [];
    try {
      for (const { name } of await this.#folder.files.readdir(parentOf(path))) {
        if (name.startsWith(prefix)) numbers.push(Number(name.slice(prefix.length)));
      }
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
    return numbers.sort((a, b) => a - b);
  }

  async #removeBelow(key: string, numbers: readonly number[], end: number): Promise<void> {
    for (const number of numbers) if (number < end) await this.#folder.remove(this.#path(key, number));
  }

  #path(key: string, number: number): string {
    return `${this.#folder.pathOf(key)}@${String(number)}`;
  }
}

/** The key of a chain's file and its number; undefined for any other name. */
export function chainNameOf(name: string): { readonly key: string; readonly number: number } | undefined {
  const at = name.indexOf("@");
  const number = Number(name.slice(at + 1));
  return at <= 0 || !Number.isSafeInteger(number) || number < 1 ? undefined : { key: name.slice(0, at), number };
}
