import { LIMITS } from "../../protocol/limits.ts";
import { AppendConflict } from "../object-store.ts";

/** A log of which this process has all bytes, as they were when S3 acknowledged them. */
export interface OpenLog {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly appends: number;
}

type LogWrite =
  { readonly kind: "written"; readonly etag: string } | { readonly kind: "absent" } | { readonly kind: "foreign" };

/** How logs reach S3. */
interface LogObjects {
  /** Writes the whole log; `replaces` is the ETag that it must have, undefined: there must be none. */
  write(key: string, bytes: Buffer, replaces: string | undefined): Promise<LogWrite>;
  /** Undefined when there is none. */
  read(key: string): Promise<{ readonly bytes: Buffer; readonly etag: string } | undefined>;
}

/** Bytes of open logs that are kept; those used longest ago are read again when they are appended to. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Appends on a store that has none: the whole log is written anew, on the condition that it still is what was acknowledged
 * last. So its bytes are kept while it is open, and writers keep logs short (`ObjectStore.appendsMax`).
 */
export class S3Logs {
  readonly #objects: LogObjects;
  readonly #appendsMax: number;
  /** In order of use. */
  readonly #open = new Map<string, OpenLog>();
  #keptBytes = 0;
  /** Settles when the newest append to a log has; appends to one log run one after another. */
  readonly #tails = new Map<string, Promise<void>>();

  constructor(objects: LogObjects, appendsMax: number) {
    this.#objects = objects;
    this.#appendsMax = appendsMax;
  }

  /** Bytes that are kept now. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const appended = before.then(() => this.#appendNow(key, bytes, offset));
    const tail = appended.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      await appended;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  forget(key: string): void {
    this.#keptBytes -= this.#open.get(key)?.bytes.length ?? 0;
    this.#open.delete(key);
  }

  async #appendNow(key: string, bytes: Buffer, offset: number): Promise<void> {
    const log = await this.#opened(key, offset);
    if (log !== undefined && bytes.length === 0) return;
    const whole = Buffer.concat(log === undefined ? [bytes] : [log.bytes, bytes]);
    // If this fails, what lies there is not known until it is read: nothing is kept.
    this.forget(key);
    const written = await this.#objects.write(key, whole, log?.etag);
    if (written.kind === "absent") throw new AppendConflict(`log ${key} was ${String(offset)} bytes long and is gone`);
    if (written.kind === "foreign") {
      throw new AppendConflict(
        `log ${key} was changed since it was ${String(offset)} bytes long: it has another writer`,
      );
    }
    this.#keep(key, { bytes: whole, etag: written.etag, appends: (log?.appends ?? 0) + 1 });
  }

  /** The log as it must be before an append at `offset`; undefined: there must be none. */
  async #opened(key: string, offset: number): Promise<OpenLog | undefined> {
    const kept = this.#open.get(key);
    if (kept?.bytes.length === offset) return kept;
    if (offset === 0) return undefined;
    // Its writer went on elsewhere, or it was closed here: what is stored decides.
    const stored = await this.#objects.read(key);
    if (stored === undefined) {
      throw new AppendConflict(`log ${key} does not exist, and should be ${String(offset)} bytes long`);
    }
    if (stored.bytes.length !== offset) {
      const found = String(stored.bytes.length);
      throw new AppendConflict(`log ${key} is ${found} bytes long, not ${String(offset)}: it has another writer`);
    }
    return { ...stored, appends: 0 };
  }

  #keep(key: string, log: OpenLog): void {
    // Its writers begin the next one now.
    if (log.bytes.length >= LIMITS.partBytesMax || log.appends >= this.#appendsMax) return;
    this.#open.set(key, log);
    this.#keptBytes += log.bytes.length;
    for (const oldest of this.#open.keys()) {
      if (this.#keptBytes <= KEPT_BYTES_MAX || oldest === key) return;
      this.forget(oldest);
    }
  }
}
