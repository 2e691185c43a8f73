import { AppendConflict, StoreBroken } from "../object-store.ts";
import { brokenBy } from "./durable-folder.ts";
import type { DurableFolder } from "./durable-folder.ts";
import { errorCode } from "./file-system.ts";

/** Descriptors kept open; a worker writes three logs at a time, the driver one a job. */
const OPEN_LOGS_MAX = 128;

interface OpenLog {
  readonly fd: number;
  /** Settles when the newest append to it has; appends to one log run one after another. */
  tail: Promise<void>;
  users: number;
}

/** Appends to logs, each of which this process alone writes. Descriptors stay open between appends. */
export class OpenLogs {
  readonly #folder: DurableFolder;
  /** In order of use, so that the first one is the one to close. */
  readonly #open = new Map<string, Promise<OpenLog>>();
  /** Logs whose last append failed half-way: their end is unknown. */
  readonly #broken = new Map<string, StoreBroken>();

  constructor(folder: DurableFolder) {
    this.#folder = folder;
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    const log = await this.#use(key, offset);
    log.users++;
    const appended = log.tail.then(() => this.#appendNow(key, log, bytes, offset));
    log.tail = appended.catch(() => undefined);
    try {
      await appended;
    } finally {
      log.users--;
    }
  }

  /** Closes a log's descriptor, for a log that is being deleted. */
  async forget(key: string): Promise<void> {
    const opening = this.#open.get(key);
    this.#open.delete(key);
    this.#broken.delete(key);
    const log = await opening;
    if (log === undefined) return;
    await log.tail;
    await this.#folder.files.close(log.fd);
  }

  async close(): Promise<void> {
    for (const key of [...this.#open.keys()]) await this.forget(key);
  }

  async #appendNow(key: string, log: OpenLog, bytes: Buffer, offset: number): Promise<void> {
    const broken = this.#broken.get(key);
    if (broken !== undefined) throw broken;
    this.#folder.checkWhole();
    const { sizeBytes } = await this.#folder.files.fstat(log.fd);
    if (sizeBytes !== offset) {
      throw new AppendConflict(
        `log ${key} is ${String(sizeBytes)} bytes long, not ${String(offset)}: it has another writer`,
      );
    }
    const path = this.#folder.pathOf(key);
    try {
      await this.#folder.writeAll(log.fd, bytes);
      await this.#folder.syncBytes(log.fd, path);
      if (offset === 0) await this.#folder.syncNames(path);
    } catch (error) {
      throw this.#break(key, error);
    }
  }

  #break(key: string, error: unknown): StoreBroken {
    const cause = brokenBy(`append to ${key}`, error);
    const broken =
      cause instanceof StoreBroken ? cause : new StoreBroken(`the store could not append to ${key}`, { cause });
    this.#broken.set(key, broken);
    return broken;
  }

  async #use(key: string, offset: number): Promise<OpenLog> {
    let opening = this.#open.get(key);
    if (opening !== undefined) this.#open.delete(key);
    opening ??= this.#openLog(key, offset);
    this.#open.set(key, opening);
    try {
      return await opening;
    } catch (error) {
      if (this.#open.get(key) === opening) this.#open.delete(key);
      throw error;
    }
  }

  async #openLog(key: string, offset: number): Promise<OpenLog> {
    await this.#closeIdle();
    try {
      const fd = await this.#folder.openLog(this.#folder.pathOf(key), offset === 0);
      return { fd, tail: Promise.resolve(), users: 0 };
    } catch (error) {
      if (errorCode(error) === "ENOENT") {
        throw new AppendConflict(`log ${key} does not exist, and should be ${String(offset)} bytes long`);
      }
      throw brokenBy(`open ${key}`, error);
    }
  }

  async #closeIdle(): Promise<void> {
    for (const [key, opening] of this.#open) {
      if (this.#open.size < OPEN_LOGS_MAX) return;
      const log = await opening.catch(() => undefined);
      if (log?.users !== 0 || this.#open.get(key) !== opening) continue;
      this.#open.delete(key);
      await this.#folder.files.close(log.fd);
    }
  }
}
