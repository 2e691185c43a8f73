import { AppendConflict, StoreBroken } from "../object-store.ts";
import { brokenBy } from "./durable-folder.ts";
import type { DurableFolder } from "./durable-folder.ts";
import { errorCode } from "./file-system.ts";

/** Descriptors kept open; a worker writes three logs at a time, the driver one a job. */
const OPEN_LOGS_MAX = 128;

interface OpenLog {
  readonly opening: Promise<number>;
  /** Known once it is open. */
  fd: number | undefined;
  /** Settles when the newest append to it has; appends to one log run one after another. */
  tail: Promise<void>;
  /** Appends that run or wait. */
  users: number;
}

/** Appends to logs, each of which this process alone writes. Descriptors stay open between appends. */
export class OpenLogs {
  readonly #folder: DurableFolder;
  /** In order of use, so that the first one is the one to close. */
  readonly #open = new Map<string, OpenLog>();
  /** Logs whose last append failed half-way: their end is unknown. */
  readonly #broken = new Map<string, StoreBroken>();

  constructor(folder: DurableFolder) {
    this.#folder = folder;
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    const log = this.#use(key, offset);
    log.users++;
    const appended = log.tail.then(async () => await this.#appendNow(key, await log.opening, bytes, offset));
    log.tail = appended.catch(() => undefined);
    try {
      await appended;
    } finally {
      log.users--;
      await this.#closeIdle();
    }
  }

  /** Closes a log's descriptor, for a log that is being deleted. */
  async forget(key: string): Promise<void> {
    const log = this.#open.get(key);
    this.#open.delete(key);
    this.#broken.delete(key);
    if (log === undefined) return;
    await log.tail;
    if (log.fd !== undefined) await this.#folder.files.close(log.fd);
  }

  async close(): Promise<void> {
    for (const key of [...this.#open.keys()]) await this.forget(key);
  }

  async #appendNow(key: string, fd: number, bytes: Buffer, offset: number): Promise<void> {
    const broken = this.#broken.get(key);
    if (broken !== undefined) throw broken;
    this.#folder.checkWhole();
    const { sizeBytes } = await this.#folder.files.fstat(fd);
    if (sizeBytes !== offset) {
      throw new AppendConflict(
        `log ${key} is ${String(sizeBytes)} bytes long, not ${String(offset)}: it has another writer`,
      );
    }
    const path = this.#folder.pathOf(key);
    try {
      await this.#folder.writeAll(fd, bytes);
      await this.#folder.syncBytes(fd, path);
      if (offset === 0) await this.#folder.syncNames(path);
    } catch (error) {
      // The bytes may be seen though no later sync can be trusted to keep them: others must not count on them.
      await this.#folder.files.truncate(fd, offset).catch(() => undefined); // what fails twice is told by the first failure
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

  /** Moves the log behind all others in the order of use. */
  #use(key: string, offset: number): OpenLog {
    const log = this.#open.get(key) ?? this.#begin(key, offset);
    this.#open.delete(key);
    this.#open.set(key, log);
    return log;
  }

  #begin(key: string, offset: number): OpenLog {
    const log: OpenLog = { opening: this.#openLog(key, offset), fd: undefined, tail: Promise.resolve(), users: 0 };
    log.opening.then(
      (fd) => (log.fd = fd),
      () => this.#open.get(key) === log && this.#open.delete(key),
    );
    return log;
  }

  async #openLog(key: string, offset: number): Promise<number> {
    try {
      return await this.#folder.openLog(this.#folder.pathOf(key), offset === 0);
    } catch (error) {
      if (errorCode(error) === "ENOENT") {
        throw new AppendConflict(`log ${key} does not exist, and should be ${String(offset)} bytes long`);
      }
      throw brokenBy(`open ${key}`, error);
    }
  }

  async #closeIdle(): Promise<void> {
    if (this.#open.size <= OPEN_LOGS_MAX) return;
    for (const [key, log] of [...this.#open]) {
      if (this.#open.size <= OPEN_LOGS_MAX) return;
      if (log.fd === undefined || log.users > 0 || this.#open.get(key) !== log) continue;
      this.#open.delete(key);
      await this.#folder.files.close(log.fd);
    }
  }
}
