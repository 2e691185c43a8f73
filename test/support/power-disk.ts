import type { FileFacts, FileSystem, FolderEntry, OpenMode } from "../../services/backends/folder/file-system.ts";

interface File {
  readonly kind: "file";
  readonly id: number;
  bytes: Buffer;
  /** Bytes that a sync has made durable. */
  durableBytes: number;
  /** A sync failed: what was not durable then never is, and later syncs do not say so (fsync(2) on Linux). */
  spoilt: boolean;
}

interface Folder {
  readonly kind: "folder";
  entries: Map<string, File | Folder>;
  /** As of the folder's last sync. */
  durableEntries: Map<string, File | Folder>;
  /** Names that a failed sync lost, with what they stood for: no later one makes them durable. */
  lost: Map<string, File | Folder>;
}

/** A call of the disk, as `onCall` hears of it. */
export type DiskCall = Exclude<keyof FileSystem, number | symbol>;

/** What becomes of a call: nothing special, or the operating system's error of this code. */
export type DiskFault = "ENOSPC" | "EIO";

/** The power went: no call returns any more. */
export class PowerLost extends Error {
  override readonly name = "PowerLost";
}

/**
 * A disk in memory that knows what is durable: bytes by `fdatasync`, names by the sync of their folder. After `callsMax`
 * calls the power goes; `afterPowerLoss` is the disk that the machine then finds.
 */
export class PowerDisk implements FileSystem {
  calls = 0;
  /** Asked before each call takes effect; an answer is how it fails. No path: a call of an open file. */
  onCall: (call: DiskCall, path: string) => DiskFault | undefined = () => undefined;
  readonly #callsMax: number;
  readonly #top: Folder;
  readonly #open = new Map<number, File>();
  #numbers = 10;

  constructor(callsMax = Infinity, top: Folder = emptyFolder()) {
    this.#callsMax = callsMax;
    this.#top = top;
  }

  /** `keeps`: whether a thing that was never synced happens to be there all the same; un-synced bytes may be torn anywhere. */
  afterPowerLoss(keeps: () => boolean, torn: (bytes: number) => number): PowerDisk {
    const seen = new Map<File | Folder, File | Folder>();
    const survivor = (node: File | Folder): File | Folder => {
      const known = seen.get(node);
      if (known !== undefined) return known;
      if (node.kind === "file") {
        const bytes = node.bytes.subarray(0, node.durableBytes + torn(node.bytes.length - node.durableBytes));
        const file: File = { ...node, bytes: Buffer.from(bytes), durableBytes: bytes.length, spoilt: false };
        seen.set(node, file);
        return file;
      }
      const folder = emptyFolder();
      seen.set(node, folder);
      for (const name of new Set([...node.entries.keys(), ...node.durableEntries.keys()])) {
        const [now, durable] = [node.entries.get(name), node.durableEntries.get(name)];
        const left = now === durable || !keeps() ? durable : now;
        if (left !== undefined) folder.entries.set(name, survivor(left));
      }
      folder.durableEntries = new Map(folder.entries);
      return folder;
    };
    return new PowerDisk(Infinity, survivor(this.#top) as Folder);
  }

  async open(path: string, mode: OpenMode): Promise<number> {
    await this.#call("open", path);
    const { folder, name } = this.#place(path);
    let file = folder.entries.get(name);
    if (file?.kind === "folder") throw failure("EISDIR", path);
    if (file !== undefined && mode === "fresh") throw failure("EEXIST", path);
    if (file === undefined && (mode === "read" || mode === "append")) throw failure("ENOENT", path);
    file ??= { kind: "file", id: this.#numbers, bytes: Buffer.alloc(0), durableBytes: 0, spoilt: false };
    folder.entries.set(name, file);
    this.#numbers += 1;
    this.#open.set(this.#numbers, file);
    return this.#numbers;
  }

  async read(fd: number, buffer: Buffer, position: number): Promise<number> {
    await this.#call("read", "");
    return this.#file(fd).bytes.copy(buffer, 0, position);
  }

  async write(fd: number, bytes: Buffer): Promise<number> {
    const file = this.#file(fd);
    const fault = await this.#call("write", "").catch((error: unknown) => {
      if (error instanceof PowerLost) throw error;
      return error as Error;
    });
    // what fails has begun: a part of it is there
    file.bytes = Buffer.concat([file.bytes, fault === undefined ? bytes : bytes.subarray(0, bytes.length / 2)]);
    if (fault !== undefined) throw fault;
    return bytes.length;
  }

  async fstat(fd: number): Promise<FileFacts> {
    await this.#call("fstat", "");
    return factsOf(this.#file(fd));
  }

  async stat(path: string): Promise<FileFacts> {
    await this.#call("stat", path);
    const { folder, name } = this.#place(path);
    const node = folder.entries.get(name);
    if (node === undefined) throw failure("ENOENT", path);
    return factsOf(node);
  }

  async fdatasync(fd: number): Promise<void> {
    const file = this.#file(fd);
    await this.#call("fdatasync", "", file);
    if (!file.spoilt) file.durableBytes = file.bytes.length;
  }

  async truncate(fd: number, sizeBytes: number): Promise<void> {
    await this.#call("truncate", "");
    const file = this.#file(fd);
    file.bytes = file.bytes.subarray(0, sizeBytes);
    file.durableBytes = Math.min(file.durableBytes, sizeBytes);
  }

  async syncFolder(path: string): Promise<void> {
    const folder = this.#folder(path);
    await this.#call("syncFolder", path, folder);
    const kept = [...folder.entries].filter(([name, node]) => folder.lost.get(name) !== node);
    folder.durableEntries = new Map(kept);
  }

  async close(fd: number): Promise<void> {
    await this.#call("close", "");
    this.#open.delete(fd);
  }

  async link(existing: string, path: string): Promise<void> {
    await this.#call("link", path);
    const from = this.#place(existing);
    const file = from.folder.entries.get(from.name);
    const { folder, name } = this.#place(path);
    if (file === undefined) throw failure("ENOENT", existing);
    if (folder.entries.has(name)) throw failure("EEXIST", path);
    folder.entries.set(name, file);
  }

  async unlink(path: string): Promise<void> {
    await this.#call("unlink", path);
    const { folder, name } = this.#place(path);
    if (!folder.entries.delete(name)) throw failure("ENOENT", path);
  }

  async mkdir(path: string): Promise<void> {
    await this.#call("mkdir", path);
    const { folder, name } = this.#place(path);
    if (folder.entries.has(name)) throw failure("EEXIST", path);
    folder.entries.set(name, emptyFolder());
  }

  async rmdir(path: string): Promise<void> {
    await this.#call("rmdir", path);
    const { folder, name } = this.#place(path);
    if (this.#folder(path).entries.size > 0) throw failure("ENOTEMPTY", path);
    folder.entries.delete(name);
  }

  async readdir(path: string): Promise<readonly FolderEntry[]> {
    await this.#call("readdir", path);
    return [...this.#folder(path).entries].map(([name, node]) => ({ name, isFolder: node.kind === "folder" }));
  }

  /** The effect of the call that the power loss or a fault hits did not happen. */
  async #call(call: DiskCall, path: string, synced?: File | Folder): Promise<undefined> {
    await Promise.resolve();
    if (this.calls >= this.#callsMax) throw new PowerLost();
    const fault = this.onCall(call, path);
    this.calls += 1;
    if (fault === undefined) return undefined;
    if (synced !== undefined) spoil(synced);
    throw failure(fault, `${call} ${path}`);
  }

  #file(fd: number): File {
    const file = this.#open.get(fd);
    if (file === undefined) throw failure("EBADF", String(fd));
    return file;
  }

  #folder(path: string): Folder {
    let folder = this.#top;
    for (const name of path.split("/").filter((segment) => segment !== "")) {
      const next = folder.entries.get(name);
      if (next === undefined) throw failure("ENOENT", path);
      if (next.kind !== "folder") throw failure("ENOTDIR", path);
      folder = next;
    }
    return folder;
  }

  #place(path: string): { readonly folder: Folder; readonly name: string } {
    const slash = path.lastIndexOf("/");
    return { folder: this.#folder(path.slice(0, slash)), name: path.slice(slash + 1) };
  }
}

/** What was not durable when a sync failed never will be. */
function spoil(synced: File | Folder): void {
  if (synced.kind === "file") {
    synced.spoilt = true;
    return;
  }
  for (const [name, node] of synced.entries) if (synced.durableEntries.get(name) !== node) synced.lost.set(name, node);
}

function emptyFolder(): Folder {
  return { kind: "folder", entries: new Map(), durableEntries: new Map(), lost: new Map() };
}

function factsOf(node: File | Folder): FileFacts {
  if (node.kind === "folder") return { sizeBytes: 0, isFolder: true, identity: "" };
  return { sizeBytes: node.bytes.length, isFolder: false, identity: String(node.id) };
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
