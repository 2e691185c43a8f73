import type {
  ByteRange,
  FolderPage,
  ListPage,
  ObjectStore,
  RecordValue,
  StoredObject,
} from "../../services/backends/object-store.ts";
import { AppendConflict } from "../../services/backends/object-store.ts";

/**
 * A store whose objects a test damages: they read as the test says until somebody writes them anew, as in S3. A record that was
 * damaged has another version. Counts calls, so that nobody asks for the same thing for ever.
 */
export class DamagedStore implements ObjectStore {
  calls = 0;
  readonly #base: ObjectStore;
  /** Undefined: removed. */
  readonly #damage = new Map<string, Buffer | undefined>();

  constructor(base: ObjectStore) {
    this.#base = base;
  }

  damage(key: string, bytes: Buffer | undefined): void {
    this.#damage.set(key, bytes);
  }

  /** It reads again as it was written. */
  mend(key: string): void {
    this.#damage.delete(key);
  }

  /** What was written there, of whichever kind. */
  async written(key: string): Promise<Buffer> {
    const found = (await this.#base.get(key)) ?? (await this.#base.read(key));
    return found?.bytes ?? Buffer.alloc(0);
  }

  async put(key: string, bytes: Buffer): Promise<boolean> {
    this.calls += 1;
    if (!this.#damage.has(key)) return this.#base.put(key, bytes);
    if (this.#damage.get(key) !== undefined) return false;
    await this.#forget(key);
    return this.#base.put(key, bytes);
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    this.calls += 1;
    if (!this.#damage.has(key)) return this.#base.get(key, range);
    const whole = this.#damage.get(key);
    if (whole === undefined) return undefined;
    return { bytes: whole.subarray(range?.start ?? 0, range?.end ?? whole.length), sizeBytes: whole.length };
  }

  async size(key: string): Promise<number | undefined> {
    this.calls += 1;
    return this.#damage.has(key) ? this.#damage.get(key)?.length : this.#base.size(key);
  }

  async read(key: string): Promise<RecordValue | undefined> {
    this.calls += 1;
    if (!this.#damage.has(key)) return this.#base.read(key);
    const bytes = this.#damage.get(key);
    return bytes === undefined ? undefined : { bytes, version: "damaged" };
  }

  async swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined> {
    this.calls += 1;
    if (!this.#damage.has(key)) return this.#base.swap(key, bytes, expected);
    if (expected !== (this.#damage.get(key) === undefined ? undefined : "damaged")) return undefined;
    await this.#forget(key);
    return this.#base.swap(key, bytes, undefined);
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    this.calls += 1;
    if (this.#damage.has(key)) throw new AppendConflict(`${key} is not ${String(offset)} bytes long`);
    return this.#base.append(key, bytes, offset);
  }

  async sync(keys: readonly string[]): Promise<void> {
    return this.#base.sync(keys);
  }

  async list(prefix: string, options?: { readonly after?: string; readonly limit?: number }): Promise<ListPage> {
    this.calls += 1;
    const entries: { readonly key: string; readonly sizeBytes: number }[] = [];
    const limit = options?.limit ?? 1_000;
    for (let { after } = options ?? {}; ;) {
      const page = await this.#base.list(prefix, after === undefined ? {} : { after });
      for (const { key, sizeBytes } of page.entries) {
        const bytes = this.#damage.get(key);
        if (!this.#damage.has(key) || bytes !== undefined) entries.push({ key, sizeBytes: bytes?.length ?? sizeBytes });
      }
      after = page.next;
      if (entries.length > limit) return { entries: entries.slice(0, limit), next: entries[limit - 1]?.key ?? "" };
      if (after === undefined) return { entries };
    }
  }

  async folders(folder: string, options?: { readonly after?: string; readonly limit?: number }): Promise<FolderPage> {
    this.calls += 1;
    return this.#base.folders(folder, options); // none that a job needs is left without a key by one that is gone
  }

  async delete(key: string): Promise<void> {
    this.calls += 1;
    await this.#forget(key);
  }

  now(): Promise<number> {
    return this.#base.now();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #forget(key: string): Promise<void> {
    this.#damage.delete(key);
    await this.#base.delete(key);
  }
}
