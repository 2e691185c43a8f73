import { realClock, realRandom } from "./clock.real.ts";
import type { Clock, Random } from "./clock.ts";
import { checkFolder, checkKey, checkPrefix } from "./object-key.ts";
import { StoreUnwell } from "./object-store.ts";
import type { ByteRange, FolderPage, ListPage, ObjectStore, RecordValue, StoredObject } from "./object-store.ts";
import { kindOf, writeIdOf, writeOnce, type StoredKind, type WriteEnd } from "./s3/conditional-write.ts";
import { foldersUnder } from "./s3/folder-listing.ts";
import { PIECE_BYTES, readPiece, readPieces, ReadWindow } from "./s3/ranged-read.ts";
import { failureOf, sentenceOf, type S3FailureKind } from "./s3/s3-failure.ts";
import { S3Logs } from "./s3/s3-logs.ts";
import {
  S3Requests,
  type GotObject,
  type ListedKeys,
  type ListRequest,
  type S3Access,
  type S3Request,
} from "./s3/s3-requests.ts";
import { S3Retry, type RetryBudget } from "./s3/s3-retry.ts";
import { StoreClock } from "./s3/store-clock.ts";

const LIST_MAX = 1_000;
const APPENDS_MAX = 32;
/** An answer of S3 begins within a second; a beat must not wait long for one that was lost. */
const SILENCE_MILLISECONDS = 10_000;
/** A log may grow under a read of several pieces; it is short, and its writer paced. */
const READS_MAX = 10;

export interface S3StoreOptions {
  readonly bucket: string;
  readonly access: S3Access;
  readonly clock?: Clock;
  readonly random?: Random;
  /** How long a call goes on trying; default `RETRY_BUDGET`. */
  readonly budget?: RetryBudget;
  /** Seconds after which a silent peer is given up and asked again; default 10. */
  readonly silenceSeconds?: number;
  /** Hears sentences for the operator: credentials that expired, and that work again. */
  readonly say?: (sentence: string) => void;
  /** Hears of each request as it went over the wire, retries included (`RequestCounts.note`). */
  readonly onRequest?: (request: S3Request) => void;
}

/** S3 refused, or did not answer for as long as its budget lasts. The sentence names the object, what was found and the fix. */
export class S3StoreError extends StoreUnwell {
  override readonly name = "S3StoreError";
  readonly kind: S3FailureKind;

  constructor(kind: S3FailureKind, message: string, options: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * An `ObjectStore` in a bucket: `new S3Store({ bucket: "acme-batches", access: s3AccessFrom(process.env) })`. Every write
 * but a delete is conditional (`writeOnce` says how), so that one that was given up and lands late changes nothing. A log is
 * an object that is written whole with each append (`S3Logs`). The SDK is loaded at the first call. Throws `S3StoreError`.
 */
export class S3Store implements ObjectStore {
  readonly appendsMax = APPENDS_MAX;
  readonly #bucket: string;
  readonly #random: Random;
  readonly #requests: S3Requests;
  readonly #retry: S3Retry;
  readonly #window = new ReadWindow();
  readonly #logs: S3Logs;
  readonly #clock: StoreClock;
  /** A key that may be asked for, to hear the store's time. */
  #newestKey = "apis/current.json";

  constructor(options: S3StoreOptions) {
    const clock = options.clock ?? realClock;
    this.#bucket = options.bucket;
    this.#random = options.random ?? realRandom;
    this.#clock = new StoreClock(clock);
    const requests = new S3Requests({
      access: options.access,
      followRegions: false,
      silenceMilliseconds: options.silenceSeconds === undefined ? SILENCE_MILLISECONDS : options.silenceSeconds * 1_000,
      onRequest: (request) => {
        if (request.dateMs !== undefined) this.#clock.observe(request.dateMs);
        options.onRequest?.(request);
      },
    });
    this.#requests = requests;
    this.#retry = new S3Retry({
      clock,
      random: this.#random,
      renewCredentials: () => requests.renewCredentials(),
      ...(options.budget === undefined ? {} : { budget: options.budget }),
      ...(options.say === undefined ? {} : { say: options.say }),
    });
    this.#logs = new S3Logs(
      {
        write: (key, bytes, replaces) => this.#write(key, bytes, "log", replaces),
        read: (key) => this.#whole(key),
      },
      APPENDS_MAX,
    );
  }

  async put(key: string, bytes: Buffer): Promise<boolean> {
    checkKey(key);
    return (await this.#write(key, bytes, "object", undefined)).kind === "written";
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    checkKey(key);
    const wanted = range ?? { start: 0, end: Infinity };
    if (wanted.end <= wanted.start) return await this.#nothingOf(key);
    for (let reads = 1; ; reads++) {
      try {
        return await this.#read(key, wanted);
      } catch (error) {
        const { kind } = failureOf(error);
        if (kind === "range") return await this.#nothingOf(key);
        if (kind === "absent") return undefined;
        if (kind !== "refused" || reads === READS_MAX) throw this.#error(error, key, "read");
      }
    }
  }

  async size(key: string): Promise<number | undefined> {
    checkKey(key);
    return (await this.#nothingOf(key))?.sizeBytes;
  }

  async read(key: string): Promise<RecordValue | undefined> {
    checkKey(key);
    const found = await this.#whole(key);
    if (found === undefined || (kindOf(found) ?? "record") !== "record") return undefined;
    return { bytes: found.bytes, version: versionOf(found.etag, writeIdOf(found)) };
  }

  async swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined> {
    checkKey(key);
    if (bytes.length === 0) throw new RangeError(`record ${key} would be empty; a record holds at least one byte`);
    const written = await this.#write(key, bytes, "record", expected?.split(" ")[0]);
    return written.kind === "written" ? versionOf(written.etag, written.writeId) : undefined;
  }

  async append(key: string, bytes: Buffer, offset: number): Promise<void> {
    checkKey(key);
    await this.#logs.append(key, bytes, offset);
  }

  /** What a `get` shows is durable already. */
  async sync(keys: readonly string[]): Promise<void> {
    for (const key of keys) checkKey(key);
  }

  async list(prefix: string, options: { readonly after?: string; readonly limit?: number } = {}): Promise<ListPage> {
    checkPrefix(prefix);
    const keysMax = Math.min(Math.max(options.limit ?? LIST_MAX, 1), LIST_MAX);
    const { objects, more } = await this.#listed({ prefix, after: options.after ?? "", keysMax });
    // Consoles make folders: empty objects whose names no key can have.
    const entries = objects
      .filter(({ key }) => !key.endsWith("/"))
      .map(({ key, sizeBytes }) => {
        return { key, sizeBytes };
      });
    const last = objects.at(-1);
    return more && last !== undefined ? { entries, next: last.key } : { entries };
  }

  async folders(
    folder: string,
    options: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<FolderPage> {
    checkFolder(folder);
    const limit = Math.min(Math.max(options.limit ?? LIST_MAX, 1), LIST_MAX);
    return await foldersUnder((request) => this.#listed(request), folder, options.after, limit);
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    this.#logs.forget(key);
    await this.#retry
      .run(() => this.#requests.delete(this.#bucket, key))
      .catch((error: unknown) => {
        throw this.#error(error, key, "deleted");
      });
  }

  async now(): Promise<number> {
    for (let asked = 0; asked < 2; asked++) {
      const now = this.#clock.now();
      if (now !== undefined) return now;
      // Any answer tells the time, a refusal too.
      await this.#nothingOf(this.#newestKey).catch((error: unknown) => {
        if (this.#clock.now() === undefined) throw error;
      });
    }
    throw new Error(`s3://${this.#bucket} answers without a Date: is a proxy before it that drops it?`);
  }

  async #listed(request: Omit<ListRequest, "bucket">): Promise<ListedKeys> {
    try {
      return await this.#retry.run(() => this.#requests.list({ bucket: this.#bucket, ...request }));
    } catch (error) {
      throw this.#error(error, request.prefix, "listed");
    }
  }

  async #write(key: string, bytes: Buffer, kind: StoredKind, replaces: string | undefined): Promise<WriteEnd> {
    const deps = { requests: this.#requests, retry: this.#retry, random: this.#random };
    try {
      const end = await writeOnce(deps, { bucket: this.#bucket, key, bytes, kind, replaces });
      this.#newestKey = key;
      return end;
    } catch (error) {
      throw this.#error(error, key, "written");
    }
  }

  /** Throws `S3Failure`. */
  async #read(key: string, wanted: ByteRange): Promise<StoredObject | undefined> {
    const reading = { requests: this.#requests, retry: this.#retry, window: this.#window };
    const range = { start: wanted.start, end: Math.min(wanted.end, wanted.start + PIECE_BYTES) };
    const first = await readPiece(reading, { bucket: this.#bucket, key, range });
    if (kindOf(first) === "record") return undefined;
    const { sizeBytes, etag } = first;
    const end = Math.min(wanted.end, sizeBytes);
    if (first.bytes.length >= end - wanted.start) return { bytes: first.bytes, sizeBytes };
    const bytes = Buffer.allocUnsafeSlow(end - wanted.start);
    const rest = { start: wanted.start + first.bytes.copy(bytes), end };
    await readPieces(reading, { bucket: this.#bucket, key, etag }, rest, bytes.subarray(first.bytes.length));
    return { bytes, sizeBytes };
  }

  async #whole(key: string): Promise<GotObject | undefined> {
    try {
      return await this.#retry.run(() => this.#requests.get({ bucket: this.#bucket, key }));
    } catch (error) {
      if (failureOf(error).kind === "absent") return undefined;
      throw this.#error(error, key, "read");
    }
  }

  /** No bytes, and the size; undefined when there is none, or a record. */
  async #nothingOf(key: string): Promise<StoredObject | undefined> {
    try {
      const found = await this.#retry.run(() => this.#requests.head(this.#bucket, key));
      if (found === undefined || kindOf(found) === "record") return undefined;
      return { bytes: Buffer.alloc(0), sizeBytes: found.sizeBytes };
    } catch (error) {
      throw this.#error(error, key, "read");
    }
  }

  #error(error: unknown, key: string, action: keyof typeof GRANTS): S3StoreError {
    const failure = failureOf(error);
    const bucket = this.#bucket;
    const place = { subject: `s3://${bucket}/${key}`, action, bucket, region: this.#requests.region };
    const message = sentenceOf(failure, { ...place, grant: GRANTS[action](bucket, key), hints: HINTS });
    return new S3StoreError(failure.kind, message, { cause: failure });
  }
}

const HINTS = { archived: ", and leave the store's objects out of the bucket's lifecycle rules" };

/** Rights as an operator gives them: for all of an API. */
const GRANTS = {
  written: (bucket: string, key: string) => `s3:PutObject on ${bucket}/${grantedPrefix(key)}`,
  // Without the right to list, S3 calls a missing key denied.
  read: (bucket: string, key: string) =>
    `s3:GetObject on ${bucket}/${grantedPrefix(key)} and s3:ListBucket on ${bucket}`,
  listed: (bucket: string, prefix: string) => `s3:ListBucket on ${bucket} with the prefix ${grantedPrefix(prefix)}`,
  deleted: (bucket: string, key: string) => `s3:DeleteObject on ${bucket}/${grantedPrefix(key)}`,
} as const;

function grantedPrefix(key: string): string {
  const ofApi = /^apis\/[^/]+\//.exec(key);
  return ofApi === null ? key : `${ofApi[0]}*`;
}

/** The ETag is what a swap can be conditional on; the write's id tells apart writes of the same bytes. */
function versionOf(etag: string, writeId: string): string {
  return `${etag} ${writeId}`;
}
