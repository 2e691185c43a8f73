import { Unwell } from "./unwell.ts";

/**
 * The seam under all durable state: S3 in the cloud, a folder on a laptop.
 *
 * Three kinds of thing live in a store, and a key is of one kind for ever:
 * - **objects** never change once they exist (`put` is put-if-absent);
 * - **records** are small and change only by compare-and-swap;
 * - **logs** only grow at their end and have one writer, ever.
 *
 * Keys are `/`-separated segments of `[A-Za-z0-9._-]`, no segment `.` or `..` or longer than 240 characters, at most 512
 * characters in all (`RangeError` otherwise). No key is another key's folder: nobody asks for `a` beside `a/b`, a folder
 * refuses it, and S3 could not.
 * What a call has answered is durable: it survives `kill -9` and power loss from then on.
 */

/** A half-open range of bytes: `start` counts from 0, `end` is the first byte that is not wanted. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface StoredObject {
  readonly bytes: Buffer;
  /** Bytes of the whole object, also when a range was asked. */
  readonly sizeBytes: number;
}

export interface RecordValue {
  readonly bytes: Buffer;
  /** Opaque: names this very value, and is never used for another value of the same key. */
  readonly version: string;
}

export interface Listed {
  readonly key: string;
  readonly sizeBytes: number;
}

export interface ListPage {
  readonly entries: readonly Listed[];
  /** Pass as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

export interface FolderPage {
  /** Without slashes. */
  readonly names: readonly string[];
  /** Pass as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

export interface ObjectStore {
  /**
   * Appends after which a writer begins its next log, because each one costs as much as the whole log; absent: any number.
   * S3's is 32.
   */
  readonly appendsMax?: number;

  /** Creates an object. Answers false, and changes nothing, when the key exists (whoever wrote it). */
  put(key: string, bytes: Buffer): Promise<boolean>;

  /**
   * Reads an object or a log (not a record); undefined when there is none. A range beyond the end yields the bytes
   * that exist. A log that is being appended yields a prefix of what its writer sent that holds all that was acknowledged.
   */
  get(key: string, range?: ByteRange): Promise<StoredObject | undefined>;

  /** Bytes of an object or a log, without reading it; undefined when there is none. */
  size(key: string): Promise<number | undefined>;

  /** Reads a record with the version to swap against; undefined when there is none. */
  read(key: string): Promise<RecordValue | undefined>;

  /**
   * Compare-and-swap of a record: writes `bytes` if the record still has `expected` (undefined: does not exist yet).
   * Answers the new version, or undefined when somebody else was first, which includes that somebody has already
   * overwritten this very write; so the caller re-reads and judges by content. A record holds at least one byte, and never
   * the same bytes again: its callers put a counter in, because S3 compares by a hash of the bytes.
   */
  swap(key: string, bytes: Buffer, expected: string | undefined): Promise<string | undefined>;

  /**
   * Appends to a log whose length its only writer knows: `offset` is the length before the call (0 creates the log).
   * Resolves when the bytes are durable. Throws `AppendConflict` when the log is not `offset` long: another writer exists.
   * When it rejects otherwise the bytes may have landed, or land yet, but never once a later append has resolved.
   */
  append(key: string, bytes: Buffer, offset: number): Promise<void>;

  /**
   * Makes durable all bytes of these logs that a `get` may have shown, also those whose append has not resolved yet. A
   * key that does not exist is passed over.
   */
  sync(keys: readonly string[]): Promise<void>;

  /**
   * Keys under a prefix (a string prefix, not a folder) in ascending byte order, records under their own key once.
   * `after`: only keys greater than this one. `limit`: at most so many, default and maximum 1,000.
   */
  list(prefix: string, options?: { readonly after?: string; readonly limit?: number }): Promise<ListPage>;

  /**
   * Names of the folders right under one (`folder` ends with a slash, or is nothing for the root; `RangeError` otherwise):
   * each `name` such that some key starts with `<folder><name>/`, once, in ascending byte order of `<name>/`. What it costs
   * depends on how many there are, and not on what they hold. `after`: only those behind this name. `limit`: as in `list`.
   */
  folders(folder: string, options?: { readonly after?: string; readonly limit?: number }): Promise<FolderPage>;

  /** Removes an object, a log or a record; nothing happens when there is none. */
  delete(key: string): Promise<void>;

  /** The store's own wall clock, Unix milliseconds: the only wall clock that decides anything (a job's timeout). */
  now(): Promise<number>;
}

/** Somebody else wrote to a log that this process believed to be its only writer. The process must stop writing. */
export class AppendConflict extends Error {
  override readonly name = "AppendConflict";
}

/** The store refuses, or does not answer; it may again, so whoever has work to do tries on. */
export class StoreUnwell extends Unwell {
  override readonly name: string = "StoreUnwell";
}

/** The store cannot take more (ENOSPC, quota) or broke (EIO). After it the process stops; a retry could lie. */
export class StoreBroken extends Error {
  override readonly name = "StoreBroken";
}
