/**
 * Environments as objects of the store: a virtual environment packed by whoever built it, unpacked by each worker at the very
 * path where it was built, because its scripts name that path.
 *
 *     environments/<key>/request.tar.gz   what was asked for: the files that installing reads
 *     environments/<key>/<builder>-<n>    the folder, as one tar compressed with Zstandard, cut into parts
 *     environments/<key>/end.json         written last, put-if-absent: whose parts count, how many, which folder they hold
 *
 * Builders may race or die: only the parts that the end names are ever read, and whoever writes the end removes all others.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdCompress, createZstdDecompress } from "node:zlib";
import { apiKeys } from "../protocol/keys.ts";
import { parseStored } from "../protocol/stored.ts";
import { environmentPython } from "./environment-python.ts";
import type { Dependencies } from "../project/environment-key.ts";
import type { ObjectStore } from "./object-store.ts";
import { packFiles, readArchive, type ProjectFiles } from "../project/project-files.ts";

/** `environments/<key>/end.json`. */
export interface EnvironmentEnd {
  readonly format: 1;
  /** Whose parts count: of two builders at once the first that ends. */
  readonly builder: string;
  readonly parts: number;
  readonly bytes: number;
  /** Name of its folder under `<root>/environments/`. */
  readonly folder: string;
}

/** One API's environments in a store. */
export interface EnvironmentPlace {
  readonly store: ObjectStore;
  readonly api: string;
  readonly key: string;
}

/** Memory that a builder and a worker need for it, a few times over. */
const PART_BYTES = 16 * 1024 * 1024;

/** What a builder is asked for: the project's files, and which of them say what to install. */
export interface EnvironmentRequest {
  readonly files: ProjectFiles;
  readonly dependencies: Dependencies;
}

/** What a stream says when the program at its other side has ended. */
const READER_ENDED = ["EPIPE", "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"];

/** Lies beside the project's files in a request. */
const DEPENDENCIES_FILE = ".millrace-dependencies.json";

export async function packRequest({ files, dependencies }: EnvironmentRequest): Promise<Buffer> {
  const asked = { bytes: Buffer.from(JSON.stringify(dependencies)), executable: false };
  return packFiles(new Map([...files, [DEPENDENCIES_FILE, asked]]));
}

export async function readRequest({ store, api, key }: EnvironmentPlace): Promise<EnvironmentRequest> {
  const found = await store.get(apiKeys(api).environmentRequest(key));
  if (found === undefined) throw new Error(`nobody asked for environment ${key} of API ${api}; deploy the API again`);
  const files = new Map(await readArchive(found.bytes));
  const dependencies = files.get(DEPENDENCIES_FILE)?.bytes.toString("utf8") ?? "{}";
  files.delete(DEPENDENCIES_FILE);
  return { files, dependencies: JSON.parse(dependencies) as Dependencies };
}

/** What is known of a made environment; undefined: it is not made yet. Throws `UnreadableObject`. */
export async function environmentEnd({ store, api, key }: EnvironmentPlace): Promise<EnvironmentEnd | undefined> {
  const end = apiKeys(api).environmentEnd(key);
  const found = await store.get(end);
  return found === undefined ? undefined : parseStored<EnvironmentEnd>(end, found.bytes);
}

/** Packs `<root>/environments/<folder>`; `builder` names this attempt among others at the same key. */
export async function packEnvironment(
  place: EnvironmentPlace,
  root: string,
  folder: string,
  builder: string,
): Promise<void> {
  const { store, api, key } = place;
  const keys = apiKeys(api);
  let parts = 0;
  let bytes = 0;
  const tar = spawn("tar", ["--create", "--file=-", "--directory", join(root, "environments"), folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const packed = pipeline(tar.stdout, createZstdCompress(), async (compressed: AsyncIterable<Buffer>) => {
    for await (const part of inParts(compressed)) {
      await store.put(keys.environmentPart(key, builder, parts), part);
      parts += 1;
      bytes += part.length;
    }
  });
  await both(packed, succeeds(tar, "tar could not pack the environment"));
  const end: EnvironmentEnd = { format: 1, builder, parts, bytes, folder };
  const counts = await store.put(keys.environmentEnd(key), Buffer.from(JSON.stringify(end)));
  if (counts) return removeOthers(place, builder);
  for (let part = 0; part < parts; part += 1) await store.delete(keys.environmentPart(key, builder, part));
}

/** Parts of builders that died, and of one that still packs: it will find the end written, and remove its later ones. */
async function removeOthers({ store, api, key }: EnvironmentPlace, builder: string): Promise<void> {
  const keys = apiKeys(api);
  const parts = keys.environmentParts(key);
  const kept = [keys.environmentRequest(key), keys.environmentEnd(key)];
  let after: string | undefined;
  do {
    const page = await store.list(parts, after === undefined ? {} : { after });
    for (const entry of page.entries) {
      if (kept.includes(entry.key) || entry.key.startsWith(`${parts}${builder}-`)) continue;
      await store.delete(entry.key);
    }
    after = page.next;
  } while (after !== undefined);
}

/**
 * Lays an environment out under `<root>/environments/`, or finds it there; answers the path of its Python. Throws when the
 * store has no such environment.
 */
export async function unpackEnvironment(place: EnvironmentPlace, root: string): Promise<string> {
  const end = await environmentEnd(place);
  const { key, api } = place;
  if (end === undefined)
    throw new Error(`environment ${key} of API ${api} is gone from the store; deploy the API again`);
  const python = environmentPython(root, end.folder);
  if (await isThere(python)) return python;
  const environments = join(root, "environments");
  await mkdir(environments, { recursive: true });
  const fresh = await mkdtemp(join(environments, ".unpack-"));
  try {
    const tar = spawn("tar", ["--extract", "--no-same-owner", "--file=-", "--directory", fresh], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    const unpacked = pipeline(partsOf(place, end), createZstdDecompress(), tar.stdin).catch(readerEnded);
    await both(unpacked, succeeds(tar, "tar could not unpack the environment"));
    await rename(join(fresh, end.folder), join(environments, end.folder));
  } catch (error) {
    if (!(await isThere(python))) throw error; // else another process of this machine was faster
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return python;
}

async function* partsOf({ store, api, key }: EnvironmentPlace, end: EnvironmentEnd): AsyncGenerator<Buffer> {
  for (let part = 0; part < end.parts; part += 1) {
    const found = await store.get(apiKeys(api).environmentPart(key, end.builder, part));
    if (found === undefined) throw new Error(`part ${String(part)} of environment ${key} is gone from the store`);
    yield found.bytes;
  }
}

/** Pieces joined to parts of one size; the last one is what is left. */
async function* inParts(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    held.push(piece);
    bytes += piece.length;
    if (bytes < PART_BYTES) continue;
    yield Buffer.concat(held, bytes);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held, bytes);
}

/** Waits for both, whatever comes of the other; the stream's fault is told first, because tar's would follow from it. */
async function both(stream: Promise<void>, tar: Promise<void>): Promise<void> {
  const ends = await Promise.allSettled([stream, tar]);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** Who reads has ended, well or not: its exit code says which. It may end before the stream's own end was acknowledged. */
function readerEnded(error: unknown): void {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!READER_ENDED.includes(code)) throw error;
}

async function succeeds(child: ChildProcess, failure: string): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${failure} (exit code ${String(code)})`);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false, // it is made by the caller
  );
}
