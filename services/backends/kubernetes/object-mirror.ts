import type { V1ObjectMeta } from "@kubernetes/client-node";
import type { Clock, Random } from "../clock.ts";

export interface MirroredObject {
  metadata?: V1ObjectMeta;
}

export interface Listing<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

/** What happens on a watch, as the API server sends it. */
export type WatchListener = (type: string, object: MirroredObject & { readonly code?: number }) => void;

export interface MirrorOptions<T> {
  /** What is mirrored, for errors: "pods". */
  readonly resource: string;
  /** Lists everything, consistently: never from an API server's own cache (no `resourceVersion` parameter). */
  readonly list: () => Promise<Listing<T>>;
  /**
   * Watches from a resource version on, bookmarks included. Resolves once the server has accepted; `done` is called when
   * the watch has ended, also when it was never accepted. A watch without a word has to end by itself within `SILENCE_MS`.
   */
  readonly watch: (
    resourceVersion: string,
    listener: WatchListener,
    done: (error: unknown) => void,
  ) => Promise<AbortController>;
  readonly clock: Clock;
  readonly random: Random;
  /** Told of a watch that was refused or lost for another reason than age. */
  readonly onTrouble?: (error: unknown) => void;
  /** An object as it now is; also told of objects that have not changed. */
  readonly onSeen?: (object: T) => void;
  /** An object that is gone for certain, as it was last. */
  readonly onGone?: (object: T) => void;
}

/** How long a watch may be silent and still be believed: what the client waits before it connects anew, and a little. */
export const SILENCE_MS = 35_000;
/** While no watch stands, a listing younger than this is as good as a new one: one that was slow to answer is no newer. */
const LISTING_AGE_MS = 1_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 10_000;
/** Identities of gone objects that are remembered, so that a listing under way cannot bring them back. */
const GONE_KEPT = 10_000;

/**
 * A copy of all our objects of one kind, kept by list and watch: it resumes after its last resource version or bookmark, lists
 * again when that has become too old (410), and connects anew with jitter. The client library's own `ListWatch` asks for no
 * bookmarks, gives up at any error but 410, and does not tell whether its watch stands.
 *
 * The copy is a hint. What makes it fit to decide on: (1) `fresh()` answers only while a watch stands that has been heard
 * within `SILENCE_MS`, else after a consistent list no older than `LISTING_AGE_MS`, else it throws; (2) it may be late, but
 * never goes back: an object is replaced only by a higher resource version, and one that is gone (deleted on the watch, or
 * absent from a consistent list that is younger than the object) never returns, because uids are never used again; (3) what
 * this process wrote is put in by `note`, so that it reads its own writes.
 */
export class ObjectMirror<T extends MirroredObject> {
  readonly #options: MirrorOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #gone = new Set<string>();
  readonly #closed = new AbortController();
  #version: string | undefined;
  #heardMs = -Infinity;
  #listedMs = -Infinity;
  #watching: AbortController | undefined;
  #listing: Promise<void> | undefined;
  #running: Promise<void> | undefined;

  constructor(options: MirrorOptions<T>) {
    this.#options = options;
  }

  /** Begins to follow. What is not there yet is listed by the first `fresh()`. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the watch. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#watching?.abort();
    await this.#running;
  }

  /** True while a watch stands that has been heard lately. */
  get isWatching(): boolean {
    return this.#watching !== undefined && this.#options.clock.monotonicMs() - this.#heardMs < SILENCE_MS;
  }

  /**
   * The objects, after a list where neither a living watch nor a list of the last second vouches for them. Throws when the
   * server does not answer.
   */
  async fresh(): Promise<readonly T[]> {
    const age = this.#options.clock.monotonicMs() - this.#listedMs;
    if (!this.isWatching && age >= LISTING_AGE_MS) await this.list();
    return [...this.#objects.values()];
  }

  /** Lists now; several callers share one listing. */
  list(): Promise<void> {
    this.#listing ??= this.#list().finally(() => (this.#listing = undefined));
    return this.#listing;
  }

  /** Puts in what the server answered to a write. */
  note(object: T): void {
    const { uid = "" } = object.metadata ?? {};
    const known = this.#objects.get(uid);
    if (this.#gone.has(uid) || (known !== undefined && versionOf(known) > versionOf(object))) return;
    this.#objects.set(uid, object);
    this.#options.onSeen?.(object);
  }

  async #list(): Promise<void> {
    const begunMs = this.#options.clock.monotonicMs();
    const { items, resourceVersion } = await this.#options.list();
    const uids = new Set(items.map(({ metadata }) => metadata?.uid ?? ""));
    for (const [uid, object] of this.#objects) {
      if (!uids.has(uid) && versionOf(object) <= Number(resourceVersion)) this.#drop(uid, object);
    }
    for (const object of items) this.note(object);
    if (Number(resourceVersion) > Number(this.#version ?? -1)) this.#version = resourceVersion;
    this.#listedMs = begunMs;
  }

  async #run(): Promise<void> {
    const { clock, random, onTrouble } = this.#options;
    const isClosed = () => this.#closed.signal.aborted;
    for (let failures = 0; !isClosed();) {
      try {
        if (this.#version === undefined) await this.list();
        await this.#follow(this.#version ?? "");
        failures = 0;
      } catch (error) {
        if (isClosed()) return;
        failures += 1;
        if (isTooOld(error)) this.#version = undefined;
        else onTrouble?.(error);
      }
      const backoffMs = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** failures);
      await clock.sleep(backoffMs * (0.5 + random.fraction() / 2), this.#closed.signal).catch(() => undefined); // closed
    }
  }

  /** One watch, from its begin to its end. Resolves when it ended in order: the server closes it from time to time. */
  async #follow(version: string): Promise<void> {
    const { resource, watch } = this.#options;
    const seen: { refused?: unknown; ended?: boolean } = {};
    const listener: WatchListener = (type, object) => {
      if (type === "ERROR") seen.refused ??= object;
      else this.#take(type, object);
    };
    await new Promise<void>((resolve, reject) => {
      const done = (error: unknown) => {
        seen.ended = true;
        this.#watching = undefined;
        if (seen.refused !== undefined) reject(new WatchRefused(seen.refused));
        else if (isQuietEnd(error)) resolve();
        else reject(error instanceof Error ? error : new Error(`the watch of ${resource} broke off`));
      };
      watch(version, listener, done).then((watching) => {
        if (seen.ended) return;
        this.#watching = watching;
        this.#heard();
        if (this.#closed.signal.aborted) watching.abort();
      }, done);
    });
  }

  #take(type: string, object: MirroredObject): void {
    this.#heard();
    const uid = object.metadata?.uid ?? "";
    if (type === "ADDED" || type === "MODIFIED") this.note(object as T);
    if (type === "DELETED") this.#drop(uid, object as T);
    this.#version = object.metadata?.resourceVersion ?? this.#version;
  }

  #heard(): void {
    this.#heardMs = this.#options.clock.monotonicMs();
  }

  #drop(uid: string, last: T): void {
    this.#objects.delete(uid);
    if (this.#gone.has(uid)) return;
    this.#gone.add(uid);
    for (const oldest of this.#gone) {
      if (this.#gone.size <= GONE_KEPT) break;
      this.#gone.delete(oldest);
    }
    this.#options.onGone?.(last);
  }
}

/** The server's answer on a watch that it does not go on with. */
class WatchRefused extends Error {
  readonly statusCode: number | undefined;

  constructor(status: unknown) {
    const { code, message } = status as { code?: number; message?: string };
    super(`the API server ends the watch: ${message ?? "no reason given"}`);
    this.statusCode = code;
  }
}

function isTooOld(error: unknown): boolean {
  return error instanceof Error && (error as { statusCode?: unknown }).statusCode === 410;
}

/** Closed by the server, by us, or after the client's own time of silence. */
function isQuietEnd(error: unknown): boolean {
  return error === null || error === undefined || (error instanceof Error && /^(Abort|Timeout)Error$/.test(error.name));
}

/** Resource versions of one API server grow; Kubernetes has them comparable as numbers. */
function versionOf(object: MirroredObject): number {
  return Number(object.metadata?.resourceVersion ?? 0);
}
