import { appendFile, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { errorCode } from "./folder/file-system.ts";
import { mergePage, positionsOf } from "./log-merge.ts";
import type { LineSource } from "./log-merge.ts";
import type { LogLine, LogPage, LogQuery, LogStore } from "./log-store.ts";
import { isSegment } from "./object-key.ts";

const SUFFIX = ".ndjson";
const CHUNK_BYTES = 16 * 1024;
const NEWLINE = 0x0a;
/** A service says something of thousands of jobs in its life; what is forgotten is looked at once more. */
const BEGUN_MAX = 256;

/** Lines that came while a write of the same file ran; they are the next write. */
interface Pending {
  text: string;
  readonly written: Promise<void>;
}

/**
 * A `LogStore` in files: `<root>/<job>/<worker>.ndjson`. Each file has one writing process at a time, any process may
 * read. Nothing is synced: a power cut may take the last lines.
 */
export class FileLogStore implements LogStore {
  readonly #root: string;
  readonly #running = new Map<string, Promise<void>>();
  readonly #pending = new Map<string, Pending>();
  /** Files that this process has written to lately: their last line is whole. In the order of use. */
  readonly #begun = new Set<string>();

  constructor(options: { readonly root: string }) {
    this.#root = options.root;
  }

  async append(job: string, worker: string, lines: readonly LogLine[]): Promise<void> {
    if (lines.length === 0) return;
    const path = `${this.#folderOf(job)}/${checked("worker", worker)}${SUFFIX}`;
    const text = lines.map(lineText).join("");
    const pending = this.#pending.get(path);
    if (pending !== undefined) {
      pending.text += text;
      await pending.written;
      return;
    }
    const running = this.#running.get(path);
    const written = running === undefined ? this.#write(path, text) : this.#writeAfter(running, path);
    if (running !== undefined) this.#pending.set(path, { text, written });
    await written;
  }

  async read(job: string, query: LogQuery): Promise<LogPage> {
    const positions = positionsOf(query.cursor);
    const folder = this.#folderOf(job);
    const workers = (await namesIn(folder))
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length))
      .filter((worker) => query.worker === undefined || query.worker === worker);
    const sources = workers.map((worker) => {
      return new FileSource(worker, `${folder}/${worker}${SUFFIX}`, positions.get(worker) ?? 0);
    });
    return await mergePage(sources, positions, query);
  }

  async remove(job: string): Promise<void> {
    const folder = this.#folderOf(job);
    await rm(folder, { recursive: true, force: true });
    for (const path of this.#begun) if (path.startsWith(`${folder}/`)) this.#begun.delete(path);
  }

  #folderOf(job: string): string {
    return `${this.#root}/${checked("job", job)}`;
  }

  async #writeAfter(running: Promise<void>, path: string): Promise<void> {
    await running.catch(() => undefined); // Its own caller hears of it.
    const text = this.#pending.get(path)?.text ?? "";
    this.#pending.delete(path);
    await this.#write(path, text);
  }

  async #write(path: string, text: string): Promise<void> {
    const running = this.#writeNow(path, text);
    this.#running.set(path, running);
    try {
      await running;
    } finally {
      if (this.#running.get(path) === running) this.#running.delete(path);
    }
  }

  async #writeNow(path: string, text: string): Promise<void> {
    // A predecessor may have died within a line; an empty line is no line.
    const first = !this.#begun.has(path) && (await sizeOf(path)) > 0 ? "\n" : "";
    try {
      await appendFile(path, first + text);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
      await mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await appendFile(path, text);
    }
    this.#begun.delete(path); // to the end of the order
    this.#begun.add(path);
    for (const oldest of this.#begun) {
      if (this.#begun.size <= BEGUN_MAX) break;
      this.#begun.delete(oldest);
    }
  }
}

/** Reads a worker's file forward, a chunk at a time, and only its complete lines. */
class FileSource implements LineSource {
  readonly worker: string;
  readonly #path: string;
  /** File offset of the first byte not taken. */
  position: number;
  #bytes: Buffer = Buffer.alloc(0);
  #head: { readonly line: LogLine; readonly lengthBytes: number } | undefined;
  #ended = false;

  constructor(worker: string, path: string, position: number) {
    this.worker = worker;
    this.#path = path;
    this.position = position;
  }

  async head(): Promise<LogLine | undefined> {
    while (this.#head === undefined && !this.#ended) {
      const end = this.#bytes.indexOf(NEWLINE);
      if (end === -1) {
        await this.#readMore();
        continue;
      }
      const line = parseLine(this.#bytes.toString("utf8", 0, end), this.worker);
      if (line === undefined) this.#skip(end + 1);
      else this.#head = { line, lengthBytes: end + 1 };
    }
    return this.#head?.line;
  }

  take(): void {
    if (this.#head !== undefined) this.#skip(this.#head.lengthBytes);
    this.#head = undefined;
  }

  #skip(lengthBytes: number): void {
    this.#bytes = this.#bytes.subarray(lengthBytes);
    this.position += lengthBytes;
  }

  /** Twice as much as is there already, so that a long line is not searched again and again. */
  async #readMore(): Promise<void> {
    const room = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, this.#bytes.length));
    const file = await open(this.#path, "r").catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return undefined; // Removed meanwhile.
      throw error;
    });
    try {
      const count = (await file?.read(room, 0, room.length, this.position + this.#bytes.length))?.bytesRead ?? 0;
      if (count === 0) this.#ended = true;
      else this.#bytes = Buffer.concat([this.#bytes, room.subarray(0, count)]);
    } finally {
      await file?.close();
    }
  }
}

function lineText(line: LogLine): string {
  const { at, from, batch, text } = line;
  return `${JSON.stringify({ at, from, ...(batch === undefined ? {} : { batch }), text })}\n`;
}

/** Undefined for what is no line: an empty one, or one that a writer's death cut and its successor went on behind. */
function parseLine(json: string, worker: string): LogLine | undefined {
  try {
    const read = JSON.parse(json) as Partial<LogLine> | null;
    if (typeof read?.at !== "number" || typeof read.text !== "string" || read.from === undefined) return undefined;
    const { at, from, batch, text } = read;
    return { at, worker, from, ...(batch === undefined ? {} : { batch }), text };
  } catch {
    return undefined;
  }
}

function checked(what: string, name: string): string {
  if (isSegment(name)) return name;
  throw new RangeError(
    `${what} ${JSON.stringify(name.slice(0, 100))} cannot name a log; give a ${what} as in its keys`,
  );
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
}
