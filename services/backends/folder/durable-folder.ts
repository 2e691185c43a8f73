import type { Random } from "../clock.ts";
import { StoreBroken } from "../object-store.ts";
import { fileNameOf, identify, livesUnder } from "../process-identity.ts";
import { errorCode } from "./file-system.ts";
import type { FileSystem } from "./file-system.ts";

/** Outside the alphabet of keys, so that no key can ever name it. */
const TEMPORARY = "@tmp";

/** How others tell whose temporary files these are, and whether their writer still lives. */
const OWN_NAME = fileNameOf(identify(process.pid));

/** Folders whose names are known to be durable, remembered at most so many; forgetting costs syncs, nothing else. */
const DURABLE_FOLDERS_MAX = 10_000;

/** Codes of a medium that is full, failing or gone; whatever was being written then is in an unknown state. */
const BROKEN_CODES = new Set(["ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG", "ENXIO", "ENODEV", "ESTALE"]);

/** The store's sentence for an error of the operating system; other errors pass as they are. */
export function brokenBy(doing: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === undefined || !BROKEN_CODES.has(code)) return error;
  const fix = code === "ENOSPC" || code === "EDQUOT" ? "free space there" : "check its disk";
  return new StoreBroken(`the store could not ${doing} (${code}); ${fix} and start again`, { cause: error });
}

/**
 * A folder in which complete files appear under their names at once or not at all, and durably. Several processes use
 * it at the same time without locks: `link(2)` decides who is first.
 */
export class DurableFolder {
  readonly files: FileSystem;
  readonly #root: string;
  readonly #random: Random;
  readonly #sync: boolean;
  readonly #durableFolders = new Set<string>();
  readonly #syncs = new Map<string, { running: Promise<void>; next: Promise<void> | undefined }>();
  #broken: StoreBroken | undefined;

  constructor(root: string, files: FileSystem, random: Random, sync: boolean) {
    this.#root = root;
    this.files = files;
    this.#random = random;
    this.#sync = sync;
  }

  /** Makes what is missing, removes what dead processes left half-written, and tries whether the disk can link. */
  async open(): Promise<void> {
    const temporary = `${this.#root}/${TEMPORARY}`;
    for (const made of await this.#mkdir(temporary)) {
      if (this.#sync) await this.#syncFolder(parentOf(made) || "/"); // the root's own name, and those above it
    }
    for (const { name } of await this.files.readdir(temporary)) {
      if (!livesUnder(name.slice(0, name.indexOf("-")))) await this.remove(`${temporary}/${name}`);
    }
    const probe = await this.#writeTemporary(Buffer.from("can this disk link?\n"));
    try {
      await this.files.link(probe, `${probe}-linked`);
    } catch (error) {
      const broken = brokenBy(`create ${probe}-linked`, error);
      if (broken instanceof StoreBroken) throw broken; // a full disk, which can make them
      const fix = "choose a root on a local file system";
      throw new Error(`the disk of ${this.#root} cannot make hard links; ${fix}`, { cause: error });
    } finally {
      await this.remove(`${probe}-linked`);
      await this.remove(probe);
    }
  }

  pathOf(key: string): string {
    return `${this.#root}/${key}`;
  }

  /** Makes a complete file; false when the name exists. Its name is not durable before `syncNames`. */
  async create(path: string, bytes: Buffer): Promise<boolean> {
    const temporary = await this.#writeTemporary(bytes);
    try {
      await this.#inFolderOf(path, () => this.files.link(temporary, path));
      return true;
    } catch (error) {
      if (errorCode(error) === "EEXIST") return false;
      throw brokenBy(`create ${path}`, error);
    } finally {
      await this.remove(temporary);
    }
  }

  /** Opens a log to append, making its folder when needed. */
  async openLog(path: string, create: boolean): Promise<number> {
    if (!create) return await this.files.open(path, "append");
    return await this.#inFolderOf(path, () => this.files.open(path, "append-create"));
  }

  /** True when it was there. */
  async remove(path: string): Promise<boolean> {
    try {
      await this.files.unlink(path);
      return true;
    } catch (error) {
      if (isAbsence(error)) return false;
      throw brokenBy(`remove ${path}`, error);
    }
  }

  /** Removes the folders above a path that are empty now, up to the root. */
  async removeEmptyFolders(path: string): Promise<void> {
    for (let folder = parentOf(path); folder.length > this.#root.length; folder = parentOf(folder)) {
      try {
        await this.files.rmdir(folder);
      } catch {
        return; // Not empty, or another process was quicker: either way nothing is left to do here.
      }
      this.#durableFolders.delete(folder);
    }
  }

  /** Makes the bytes of an open file durable. Never tried twice: after a failure the kernel may have dropped them. */
  async syncBytes(fd: number, path: string): Promise<void> {
    if (!this.#sync) return;
    this.checkWhole();
    try {
      await this.files.fdatasync(fd);
    } catch (error) {
      throw this.#break(path, error);
    }
  }

  /** Makes a whole file durable, whoever wrote it; nothing happens when there is none. */
  async syncFile(path: string): Promise<void> {
    let fd: number;
    try {
      fd = await this.files.open(path, "read");
    } catch (error) {
      if (isAbsence(error)) return;
      throw brokenBy(`open ${path}`, error);
    }
    try {
      await this.syncBytes(fd, path);
    } finally {
      await this.files.close(fd);
    }
    await this.syncNames(path);
  }

  /** Makes a file's name durable, and those of the folders above it that nobody here has synced yet. */
  async syncNames(path: string): Promise<void> {
    if (!this.#sync) return;
    let folder = parentOf(path);
    await this.#syncFolder(folder);
    while (folder.length > this.#root.length && !this.#durableFolders.has(folder)) {
      const above = parentOf(folder);
      await this.#syncFolder(above);
      if (this.#durableFolders.size >= DURABLE_FOLDERS_MAX) this.#durableFolders.clear();
      this.#durableFolders.add(folder);
      folder = above;
    }
  }

  /** Throws once a sync has failed: from then on nothing may be called durable. */
  checkWhole(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  #break(path: string, error: unknown): StoreBroken {
    this.#broken ??= new StoreBroken(
      `the store could not make ${path} durable (${errorCode(error) ?? "unknown"}); check its disk and start again`,
      { cause: error },
    );
    return this.#broken;
  }

  /** Writers that come while a sync of their folder runs share the next one. */
  async #syncFolder(folder: string): Promise<void> {
    this.checkWhole();
    const under = this.#syncs.get(folder);
    if (under === undefined) {
      const state = { running: this.#syncFolderNow(folder), next: undefined };
      this.#syncs.set(folder, state);
      await this.#finishSync(folder, state);
      return;
    }
    under.next ??= this.#syncAfter(folder, under.running);
    await under.next;
  }

  async #syncAfter(folder: string, running: Promise<void>): Promise<void> {
    await running;
    const state = { running: this.#syncFolderNow(folder), next: undefined };
    this.#syncs.set(folder, state);
    await this.#finishSync(folder, state);
  }

  async #finishSync(folder: string, state: { readonly running: Promise<void>; next: Promise<void> | undefined }) {
    try {
      await state.running;
    } finally {
      if (this.#syncs.get(folder) === state && state.next === undefined) this.#syncs.delete(folder);
    }
  }

  async #syncFolderNow(folder: string): Promise<void> {
    try {
      await this.files.syncFolder(folder);
    } catch (error) {
      // A folder that was removed meanwhile holds no name to keep.
      if (!isAbsence(error)) throw this.#break(folder, error);
    }
  }

  async #writeTemporary(bytes: Buffer): Promise<string> {
    this.checkWhole();
    const path = `${this.#root}/${TEMPORARY}/${OWN_NAME}-${this.#random.hex(8)}`;
    try {
      const fd = await this.files.open(path, "fresh");
      try {
        await this.writeAll(fd, bytes);
        await this.syncBytes(fd, path);
      } finally {
        await this.files.close(fd);
      }
    } catch (error) {
      await this.remove(path);
      throw brokenBy(`write ${path}`, error);
    }
    return path;
  }

  /** A write may be short, on a nearly full disk for one. */
  async writeAll(fd: number, bytes: Buffer): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      written += await this.files.write(fd, written === 0 ? bytes : bytes.subarray(written));
    }
  }

  /** Does something in a file's folder; makes the folder, as often as others remove it in between, when it is missing. */
  async #inFolderOf<T>(path: string, act: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await act();
      } catch (error) {
        if (errorCode(error) !== "ENOENT" || tries === 10) throw error;
      }
      this.#durableFolders.delete(parentOf(path));
      await this.#mkdir(parentOf(path));
    }
  }

  /** Answers the folders that it made. */
  async #mkdir(folder: string): Promise<string[]> {
    try {
      await this.files.mkdir(folder);
      return [folder];
    } catch (error) {
      const code = errorCode(error);
      if (code === "EEXIST") return [];
      if (code !== "ENOENT" || parentOf(folder) === "") throw brokenBy(`make the folder ${folder}`, error);
      this.#durableFolders.delete(parentOf(folder));
      const above = await this.#mkdir(parentOf(folder));
      return [...above, ...(await this.#mkdir(folder))];
    }
  }
}

export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** Nothing is there: no file, or a file where the path needs a folder, or a folder where it needs a file. */
export function isAbsence(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR";
}
