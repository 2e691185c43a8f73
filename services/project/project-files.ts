/**
 * A project as its archive holds it: a deterministic tar.gz of plain files. The same files give the same bytes, whoever packs
 * them and when, so that the archive's sha256 names the code. (Another build of zlib may compress to other bytes; then the
 * same code is a new version, which harms nothing.)
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzipSync } from "node:zlib";
import tar from "tar-stream";

import { LIMITS } from "../protocol/limits.ts";

export interface ProjectFile {
  readonly bytes: Buffer;
  readonly executable: boolean;
}

/** By path relative to the project's root, with `/`. */
export type ProjectFiles = ReadonlyMap<string, ProjectFile>;

/** The archive or the folder cannot be a project. The message is for the person who made it. */
export class ProjectInvalid extends Error {
  override readonly name = "ProjectInvalid";
  /** True when a limit on size or count is what it broke. */
  readonly tooLarge: boolean;

  constructor(message: string, options: { readonly tooLarge?: boolean; readonly cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.tooLarge = options.tooLarge ?? false;
  }
}

/** A tar entry has a header of 512 bytes, padding, and for long names a second header. */
const TAR_BYTES_PER_FILE = 2_560;
const UNPACKED_BYTES_MAX = LIMITS.projectBytesMax + LIMITS.projectFilesMax * TAR_BYTES_PER_FILE;
/** Byte 9 of a gzip stream names the operating system (RFC 1952): 255 is "unknown", the same everywhere. */
const GZIP_SYSTEM_BYTE = 9;

const gunzipAsync = promisify(gunzip);

export function sha256Hex(bytes: Buffer | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Packs files: sorted by path, owner 0, time 0, mode 644 or 755. */
export async function packFiles(files: ProjectFiles): Promise<Buffer> {
  const pack = tar.pack();
  const chunks: Buffer[] = [];
  const ended = (async () => {
    for await (const chunk of pack) chunks.push(chunk as Buffer);
  })();
  for (const path of [...files.keys()].sort()) {
    const file = files.get(path);
    if (file === undefined) continue;
    const mode = file.executable ? 0o755 : 0o644;
    pack.entry({ name: path, mode, mtime: new Date(0), uid: 0, gid: 0 }, file.bytes);
  }
  pack.finalize();
  await ended;
  const packed = gzipSync(Buffer.concat(chunks), { level: 9 });
  packed[GZIP_SYSTEM_BYTE] = 255;
  return packed;
}

/**
 * Reads an archive that anybody may have made. Throws `ProjectInvalid`: not a tar.gz, links or devices in it, paths that leave
 * the project, the same path twice, more bytes or files than the limits allow.
 */
export async function readArchive(archive: Buffer): Promise<ProjectFiles> {
  const extract = tar.extract();
  const files = new Map<string, ProjectFile>();
  let totalBytes = 0;
  extract.end(await inflated(archive));
  try {
    for await (const entry of extract) {
      const { name, type, mode } = entry.header;
      if (type === "directory") {
        entry.resume();
        continue;
      }
      const path = checkedPath(name, type, files);
      const chunks: Buffer[] = [];
      for await (const chunk of entry) {
        totalBytes += (chunk as Buffer).length;
        if (totalBytes > LIMITS.projectBytesMax) throw tooLarge();
        chunks.push(chunk as Buffer);
      }
      files.set(path, { bytes: Buffer.concat(chunks), executable: (mode & 0o100) !== 0 });
      if (files.size > LIMITS.projectFilesMax) throw tooLarge();
    }
  } catch (error) {
    if (error instanceof ProjectInvalid) throw error;
    throw new ProjectInvalid("The project archive is damaged: it does not read as tar. Pack and send it again.", {
      cause: error,
    });
  }
  refuseFilesAsFolders(files);
  return files;
}

async function inflated(archive: Buffer): Promise<Buffer> {
  try {
    return await gunzipAsync(archive, { maxOutputLength: UNPACKED_BYTES_MAX });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge();
    throw new ProjectInvalid(
      "The project archive does not read as gzip. Send a tar.gz, as `millrace deploy` makes it.",
      {
        cause: error,
      },
    );
  }
}

function tooLarge(): ProjectInvalid {
  const mebibytes = String(LIMITS.projectBytesMax / 1024 / 1024);
  const limits = `${mebibytes} MiB or ${String(LIMITS.projectFilesMax)} files`;
  return new ProjectInvalid(
    `The project archive unpacks to more than ${limits}. Leave data and models out with a .millraceignore.`,
    { tooLarge: true },
  );
}

function checkedPath(name: string, type: string, files: ProjectFiles): string {
  const path = name.replace(/^(\.\/)+/, "");
  const quoted = JSON.stringify(name.slice(0, 200));
  if (type !== "file" && type !== "contiguous-file") {
    throw new ProjectInvalid(`The project archive holds ${quoted}, which is a ${type}. Only plain files are allowed.`);
  }
  const segments = path.split("/");
  const bad = segments.some((segment) => segment === "" || segment === "." || segment === "..");
  if (
    bad ||
    /[\\\0]/.test(path) ||
    path.length > 1_000 ||
    segments.some((segment) => Buffer.byteLength(segment) > 255)
  ) {
    throw new ProjectInvalid(
      `The project archive holds the path ${quoted}, which leads out of it or is no plain path.`,
    );
  }
  if (files.has(path)) throw new ProjectInvalid(`The project archive holds ${quoted} twice.`);
  return path;
}

/** `a` and `a/b` cannot both be unpacked. */
function refuseFilesAsFolders(files: ProjectFiles): void {
  for (const path of files.keys()) {
    for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
      if (!files.has(path.slice(0, end))) continue;
      throw new ProjectInvalid(
        `The project archive holds ${JSON.stringify(path.slice(0, end))} as a file and as a folder.`,
      );
    }
  }
}
