import * as fs from "node:fs";
import { promisify } from "node:util";

export interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

export interface FileFacts {
  readonly sizeBytes: number;
  readonly isFolder: boolean;
  /** Tells a file from a later one of the same name. */
  readonly identity: string;
}

/** `append` makes the file when `create` is given; `fresh` makes it and fails when it exists. */
export type OpenMode = "read" | "fresh" | "append" | "append-create";

/**
 * The calls to the operating system that durable state is made with, and no other: so that a test can record them,
 * lose what was not synced, or fail them. Errors are Node's, with their `code`.
 */
export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<number>;
  /** Reads up to `buffer.length` bytes at `position`; answers how many. */
  read(fd: number, buffer: Buffer, position: number): Promise<number>;
  /** Writes at the file's end (all modes here only ever grow a file); answers how many bytes. */
  write(fd: number, bytes: Buffer): Promise<number>;
  fstat(fd: number): Promise<FileFacts>;
  stat(path: string): Promise<FileFacts>;
  /** Makes the bytes and the length durable, not the name. */
  fdatasync(fd: number): Promise<void>;
  /** Cuts a file to its first bytes. */
  truncate(fd: number, sizeBytes: number): Promise<void>;
  /** Makes a folder's names durable. */
  syncFolder(path: string): Promise<void>;
  close(fd: number): Promise<void>;
  link(existing: string, path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes one folder; its parent must exist. */
  mkdir(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  readdir(path: string): Promise<readonly FolderEntry[]>;
}

const { O_RDONLY, O_WRONLY, O_APPEND, O_CREAT, O_EXCL } = fs.constants;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY,
  fresh: O_WRONLY | O_CREAT | O_EXCL,
  append: O_WRONLY | O_APPEND,
  "append-create": O_WRONLY | O_APPEND | O_CREAT,
};

const open = promisify(fs.open);
const close = promisify(fs.close);
const fsync = promisify(fs.fsync);

// Plain descriptors: on small files a FileHandle of fs/promises costs about as much again as the call itself.
const read = promisify<number, Buffer, number, number, number, number>((fd, buffer, offset, length, position, done) => {
  fs.read(fd, buffer, offset, length, position, done);
});
const write = promisify<number, Buffer, number, number, number>((fd, bytes, offset, length, done) => {
  fs.write(fd, bytes, offset, length, null, done);
});
const fstat = promisify<number, fs.Stats>(fs.fstat);
const stat = promisify<string, fs.Stats>(fs.stat);
const readdir = promisify<string, fs.Dirent[]>((path, done) => {
  fs.readdir(path, { withFileTypes: true }, done);
});
const mkdir = promisify<string>(fs.mkdir);
const rmdir = promisify<string>(fs.rmdir);

function factsOf(stats: fs.Stats): FileFacts {
  return {
    sizeBytes: stats.size,
    isFolder: stats.isDirectory(),
    identity: `${String(stats.ino)}-${String(stats.mtimeMs)}`,
  };
}

/** The operating system's own. */
export const nodeFileSystem: FileSystem = {
  open: (path, mode) => open(path, FLAGS[mode], 0o644),
  read: (fd, buffer, position) => read(fd, buffer, 0, buffer.length, position),
  write: (fd, bytes) => write(fd, bytes, 0, bytes.length),
  fstat: async (fd) => factsOf(await fstat(fd)),
  stat: async (path) => factsOf(await stat(path)),
  fdatasync: promisify(fs.fdatasync),
  truncate: promisify<number, number>(fs.ftruncate),
  async syncFolder(path) {
    const fd = await open(path, O_RDONLY);
    try {
      await fsync(fd);
    } finally {
      await close(fd);
    }
  },
  close,
  link: promisify(fs.link),
  unlink: promisify(fs.unlink),
  mkdir,
  rmdir,
  readdir: async (path) => (await readdir(path)).map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() })),
};

/** The code of an operating system's error (`ENOENT`, …); undefined for any other thrown thing. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
