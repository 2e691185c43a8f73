import { realClock, realRandom } from "./clock.real.ts";
import type { Clock, Random } from "./clock.ts";
import { brokenBy, DurableFolder, isAbsence } from "./folder/durable-folder.ts";
import { nodeFileSystem } from "./folder/file-system.ts";
import type { FileSystem } from "./folder/file-system.ts";
import { OpenLogs } from "./folder/open-logs.ts";
import { RecordChains } from "./folder/record-chain.ts";
import { filesFirst, foldersIn, walk } from "./folder/walk.ts";
import type { WalkedFile } from "./folder/walk.ts";
import { checkFolder, checkKey, checkPrefix } from "./object-key.ts";
import type {
  ByteRange,
  FolderPage,
  Listed,
  ListPage,
  ObjectStore,
  RecordValue,
  StoredObject,
} from "./object-store.ts";

const LIST_MAX = 1_000;

export interface FileStoreOptions {
  /** Absolute path of the store's folder, on a file system with hard links; made when missing. */
  readonly root: string;
  readonly clock?: Clock;
  readonly random?: Random;
  /** `none` survives the death of processes, not of the machine; for tests. Default `fdatasync`. */
  readonly sync?: "fdatasync" | "none";
  /** The operating system, unless a test records or fails its calls. */
  readonly files?: FileSystem;
}

/**
 * Opens an `ObjectStore` on a folder. Several processes may have the same folder open at once; there are no locks.
 * An object or a log is the file of its key, a record a chain of files `<key>@<n>`. Close it to give descriptors back.
 */
export async function openFileStore(options: FileStoreOptions): Promise<FileStore> {
  const root = options.root.replace(/\/+$/, "");
  if (!root.startsWith("/"))
    throw new RangeError(`the store's folder is ${options.root}; give an absolute path below /`);
  const files = options.files ?? nodeFileSystem;
  const folder = new DurableFolder(root, files, options.random ?? realRandom, options.sync !== "none");
  await folder.open();
  return new FileStore(root, folder, options.clock ?? realClock);
}

/** See `openFileStore`. */
export class FileStore implements ObjectStore {
  readonly #root: string;
  readonly #folder: DurableFolder;
  readonly #files: FileSystem;
  readonly #clock: Clock;
  readonly #records: RecordChains;
  readonly #logs: OpenLogs;

  constructor(root: string, folder: DurableFolder, clock: Clock) {
    this.#root = root;
    this.#folder = folder;
    this.#files = folder.files;
    this.#clock = clock;
    this.#records = new RecordChains(folder);
    this.#logs = new OpenLogs(folder);
  }

  async put(key: string, bytes: Buffer): Promise<boolean> {
    checkKey(key);
    const path = this.#folder.pathOf(key);
    const created = await this.#folder.create(path, bytes);
    // The loser's answer is durable too: the winner may not have come to this yet.
    await this.#folder.syncNames(path);
    if (!created) await this.#refuseFolder(key);
    return created;
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    checkKey(key);
    let fd: number | undefined;
    try {
      fd = await this.#files.open(this.#folder.pathOf(key), "read");
      const { sizeBytes, isFolder } = await this.#files.fstat(fd);
      if (isFolder) return undefined;
      const start = Math.min(range?.start ?? 0, sizeBytes);
      const end = Math.max(start, Math.min(range?.end ?? sizeBytes, sizeBytes));
      return { bytes: await this.#readAll(fd, start, end), sizeBytes };
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw brokenBy(`read ${key}`, error);
    } finally {
      if (fd !== undefined) await this.#files.close(fd);
    }
  }

  async size(key: string): Promise<number | undefined> {
    checkKey(key);
    return await this.#sizeOf(this.#folder.pathOf(key));
  }

  async read(key: string): Promise<RecordValue | undefined> {
    checkKey(key);
    return await this.#records.read(key);
  }

  async swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined> {
    checkKey(key);
    return await this.#records.swap(key, bytes, expected);
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    checkKey(key);
    await this.#logs.append(key, bytes, offset);
  }

  async sync(keys: readonly string[]): Promise<void> {
    for (const key of keys) checkKey(key);
    await Promise.all(keys.map((key) => this.#folder.syncFile(this.#folder.pathOf(key))));
  }

  async list(prefix: string, options: { readonly after?: string; readonly limit?: number } = {}): Promise<ListPage> {
    checkPrefix(prefix);
    const limit = Math.min(Math.max(options.limit ?? LIST_MAX, 1), LIST_MAX);
    const entries: Listed[] = [];
    const found = walk(this.#files, this.#root, prefix, options.after ?? "");
    for (;;) {
      // One more than fits, to know whether there is a next page.
      const some = await take(found, limit + 1 - entries.length);
      for (const entry of await Promise.all(some.map((file) => this.#listed(file)))) {
        if (entry !== undefined) entries.push(entry);
      }
      if (entries.length > limit) {
        entries.length = limit;
        return { entries, next: entries[limit - 1]?.key ?? "" };
      }
      if (some.length === 0) return { entries };
    }
  }

  async folders(
    folder: string,
    options: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<FolderPage> {
    checkFolder(folder);
    const limit = Math.min(Math.max(options.limit ?? LIST_MAX, 1), LIST_MAX);
    const names: string[] = [];
    for (const name of await foldersIn(this.#files, `${this.#root}/${folder}`, options.after)) {
      if (!(await this.#holdsKeys(`${folder}${name}/`))) continue;
      if (names.length === limit) return { names, next: names.at(-1) ?? "" };
      names.push(name);
    }
    return { names };
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const path = this.#folder.pathOf(key);
    if (await this.#folder.remove(path)) {
      await this.#logs.forget(key);
      await this.#folder.syncNames(path);
    } else if (!(await this.#records.delete(key))) return;
    await this.#folder.removeEmptyFolders(path);
  }

  async now(): Promise<number> {
    return this.#clock.wallMs();
  }

  /** Closes what is open; only appends need it open, and open it again. */
  async close(): Promise<void> {
    await this.#logs.close();
  }

  async #readAll(fd: number, start: number, end: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(end - start);
    let filled = 0;
    while (filled < bytes.length) {
      const part = filled === 0 ? bytes : bytes.subarray(filled);
      const count = await this.#files.read(fd, part, start + filled);
      if (count === 0) break; // Someone cut the file; what exists is what there is.
      filled += count;
    }
    return filled === bytes.length ? bytes : bytes.subarray(0, filled);
  }

  async #sizeOf(path: string): Promise<number | undefined> {
    try {
      const { sizeBytes, isFolder } = await this.#files.stat(path);
      return isFolder ? undefined : sizeBytes;
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw error;
    }
  }

  async #listed({ key, path, isRecord }: WalkedFile): Promise<Listed | undefined> {
    let sizeBytes = await this.#sizeOf(path);
    // A record's file that went away was replaced by a newer one.
    if (isRecord && sizeBytes === undefined) sizeBytes = (await this.#records.read(key))?.bytes.length;
    if (sizeBytes === undefined || (isRecord && sizeBytes === 0)) return undefined;
    return { key, sizeBytes };
  }

  /** Folders may be left without a key: what is left of a record that was deleted, or a removal that was cut off. */
  async #holdsKeys(folder: string): Promise<boolean> {
    for await (const file of filesFirst(this.#files, this.#root, folder)) {
      if ((await this.#listed(file)) !== undefined) return true;
    }
    return false;
  }

  async #refuseFolder(key: string): Promise<void> {
    const facts = await this.#files.stat(this.#folder.pathOf(key)).catch(() => undefined);
    if (facts?.isFolder !== true) return;
    throw new Error(`object key ${key} cannot be made beside ${key}/…: one is the other's folder`);
  }
}

async function take<T>(from: AsyncGenerator<T, void, undefined>, count: number): Promise<readonly T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const step = await from.next();
    if (step.done === true) break;
    taken.push(step.value);
  }
  return taken;
}
