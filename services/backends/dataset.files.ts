/** Datasets on this machine's disks, under folders that the operator allowed. */
import { closeSync, fstatSync, openSync, read } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { sep } from "node:path";
import { promisify } from "node:util";
import { encodePath, filePath, fileUri } from "../protocol/dataset-uris.ts";
import { DatasetError } from "./dataset.ts";
import type { Dataset, DatasetFault, DatasetObject } from "./dataset.ts";
import type { ByteRange } from "./object-store.ts";

export interface FilesDatasetOptions {
  /** Absolute folders; what lies outside them, symbolic links resolved, is refused. None: everything is. */
  readonly roots: readonly string[];
  /** The option by which an operator allows a folder; error texts name it. */
  readonly allowOption: string;
  /** Objects in a page; default 1,000. */
  readonly pageObjects?: number;
}

/** `stat`s that run at once. */
const STATS_AT_ONCE = 32;

interface Entry {
  /** Name as in the URI; a folder's ends in a slash, so that entries sort as their URIs do. */
  readonly name: string;
  readonly path: string;
  readonly folder: boolean;
}

interface Found {
  readonly entry: Entry;
  readonly object?: DatasetObject;
}

const readAt = promisify<number, Buffer, number, number, number, number>(
  (file, bytes, offset, length, position, done) => {
    read(file, bytes, offset, length, position, done);
  },
);

export class FilesDataset implements Dataset {
  readonly #options: FilesDatasetOptions;
  readonly #pageObjects: number;
  #roots: Promise<readonly string[]> | undefined;
  #allowedLast: { readonly uri: string; readonly real: string } | undefined;

  constructor(options: FilesDatasetOptions) {
    this.#options = options;
    this.#pageObjects = options.pageObjects ?? 1000;
  }

  async *list(
    prefix: string,
    options: { readonly after?: string } = {},
  ): AsyncGenerator<readonly DatasetObject[], void> {
    const path = pathOf(prefix);
    const folder = path.endsWith("/")
      ? path
      : (await isFolder(path))
        ? `${path}/`
        : path.slice(0, path.lastIndexOf("/") + 1);
    const start = fileUri(folder.startsWith(path) ? folder : path);
    await this.#allowed(folder, prefix);
    let page: DatasetObject[] = [];
    for await (const object of this.#walk(folder, start, options.after ?? "", [])) {
      page.push(object);
      if (page.length < this.#pageObjects) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  async read(uri: string, range: ByteRange, etag: string, into?: Buffer): Promise<Buffer> {
    const real = await this.#allowedOnce(uri);
    const wanted = range.end - range.start;
    const bytes =
      into !== undefined && into.length >= wanted ? into.subarray(0, wanted) : Buffer.allocUnsafeSlow(wanted);
    try {
      // Only the read itself goes to another thread: a hop there and back costs more than opening a local file does.
      const file = openSync(real, "r");
      try {
        for (let filled = 0; filled < wanted;) {
          const bytesRead = await readAt(file, bytes, filled, wanted - filled, range.start + filled);
          if (bytesRead === 0) throw changed(uri);
          filled += bytesRead;
        }
        // Once is enough, and after the read: a file that is now as it was listed was so all the time.
        if (etagOf(fstatSync(file, { bigint: true })) !== etag) throw changed(uri);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw error instanceof DatasetError ? error : faultOf(error, uri, pathOf(uri));
    }
    return bytes;
  }

  /** Chunks of one file come one after the other; that it is still the same file, its etag says. */
  async #allowedOnce(uri: string): Promise<string> {
    if (this.#allowedLast?.uri === uri) return this.#allowedLast.real;
    const real = await this.#allowed(pathOf(uri), uri);
    this.#allowedLast = { uri, real };
    return real;
  }

  /**
   * Files under a folder in order of their URIs, from `start` on (a string prefix) and behind `after`. `parents` are the
   * real paths of the folders above, so that a link to one of them is not followed for ever.
   */
  async *#walk(
    folder: string,
    start: string,
    after: string,
    parents: readonly string[],
  ): AsyncGenerator<DatasetObject, void> {
    const real = await this.#allowed(folder, fileUri(folder));
    if (parents.includes(real)) return;
    const uri = fileUri(folder);
    // a link beside what is asked for may lead where it likes
    const asked = (name: string) => (uri + name).startsWith(start) || start.startsWith(`${uri}${name}/`);
    const entries = (await this.#entries(folder, asked)).filter(({ name, folder: isDirectory }) => {
      const child = uri + name;
      const wanted = child.startsWith(start) || (isDirectory && start.startsWith(child));
      return wanted && (child > after || (isDirectory && after.startsWith(child)));
    });
    for (let first = 0; first < entries.length; first += STATS_AT_ONCE) {
      const some = entries.slice(first, first + STATS_AT_ONCE);
      for (const { entry, object } of await Promise.all(some.map((found) => this.#looked(uri, found)))) {
        if (entry.folder) yield* this.#walk(entry.path, start, after, [...parents, real]);
        else if (object !== undefined) yield object;
      }
    }
  }

  async #looked(uri: string, entry: Entry): Promise<Found> {
    if (entry.folder) return { entry };
    const found = await stat(entry.path, { bigint: true }).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ELOOP") return undefined; // went away, or a link to nowhere
      throw faultOf(error, uri + entry.name, entry.path);
    });
    if (found?.isFile() !== true) return { entry };
    return { entry, object: { uri: uri + entry.name, sizeBytes: Number(found.size), etag: etagOf(found) } };
  }

  /** What lies in a folder: files and folders, links that are asked for as what they lead to. */
  async #entries(folder: string, asked: (name: string) => boolean): Promise<readonly Entry[]> {
    const children = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return []; // removed since its parent was read
      throw faultOf(error, fileUri(folder), folder);
    });
    const entries: Entry[] = [];
    for (const child of children) {
      const path = folder + child.name;
      if (asked(encodePath(child.name))) await refuseUnreadableName(folder, child.name);
      if (child.isDirectory()) entries.push({ name: `${encodePath(child.name)}/`, path: `${path}/`, folder: true });
      else if (child.isFile()) entries.push({ name: encodePath(child.name), path, folder: false });
      else if (child.isSymbolicLink() && asked(encodePath(child.name))) {
        const real = await realpath(path).catch(() => undefined);
        if (real === undefined) continue; // a link to nowhere holds no data
        await this.#allowed(path, fileUri(path));
        const leads = await isFolder(real);
        entries.push({
          name: encodePath(child.name) + (leads ? "/" : ""),
          path: leads ? `${path}/` : path,
          folder: leads,
        });
      }
    }
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The real path; throws unless it lies in a root. */
  async #allowed(path: string, uri: string): Promise<string> {
    this.#roots ??= Promise.all(this.#options.roots.map((root) => realpath(root).catch(() => root)));
    const roots = await this.#roots;
    const inRoots = (real: string) =>
      roots.some((root) => real === root || real.startsWith(root === sep ? sep : root + sep));
    const written = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
    // Outside is said before missing, so that nobody can probe what exists there.
    const outside = (): DatasetError => {
      const allowed = this.#options.roots.length === 0 ? "no folder" : this.#options.roots.join(", ");
      return new DatasetError(
        "outside_roots",
        uri,
        `${path} lies outside the folders that this service may read (${allowed}); allow its folder with ${this.#options.allowOption}`,
      );
    };
    let real: string;
    try {
      real = await realpath(written);
    } catch (error) {
      throw inRoots(written) || this.#options.roots.some((root) => written.startsWith(root))
        ? faultOf(error, uri, path)
        : outside();
    }
    if (!inRoots(real)) throw outside();
    return real;
  }
}

function pathOf(uri: string): string {
  const path = filePath(uri);
  if (path === undefined)
    throw new DatasetError("unsupported", uri, `${uri} is no file URI; write file:///absolute/path`);
  return path;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false, // what cannot be looked at is no folder; listing its parent says why
  );
}

/** Names are read as UTF-8. What is none comes with this mark in the place of its bytes, and cannot be opened by that. */
const NOT_UTF8 = "\uFFFD";

async function refuseUnreadableName(folder: string, name: string): Promise<void> {
  if (!name.includes(NOT_UTF8)) return;
  const isThere = await lstat(folder + name).then(
    () => true,
    (error: unknown) => codeOf(error) !== "ENOENT",
  );
  if (isThere) return;
  const fix = "which is not UTF-8, so that no address can name it; rename it, or move it to another folder";
  throw new DatasetError("unsupported", fileUri(folder), `${folder} holds ${JSON.stringify(name)}, ${fix}`);
}

function etagOf(found: { readonly ino: bigint; readonly size: bigint; readonly mtimeNs: bigint }): string {
  return `${String(found.ino)}-${String(found.size)}-${String(found.mtimeNs)}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function changed(uri: string): DatasetError {
  return new DatasetError(
    "changed",
    uri,
    `${uri} has changed since the job listed it; submit the job again, and leave its input alone while it runs`,
  );
}

function faultOf(error: unknown, uri: string, path: string): DatasetError {
  const code = codeOf(error);
  const say = (fault: DatasetFault, why: string) => new DatasetError(fault, uri, `${path} ${why}`, { cause: error });
  if (code === "ENOENT" || code === "ENOTDIR") return say("missing", "does not exist; check the path");
  if (code === "EACCES" || code === "EPERM") {
    return say("denied", "may not be read by the user that runs this service; change its permissions");
  }
  return say("unreachable", `could not be read (${code === "" ? String(error) : code})`);
}
