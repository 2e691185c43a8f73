/**
 * Stages one immutable listing of a job's dataset. A part is an object: a head line `ListingHead`, then one `StagedObject`
 * a line. For `file_path_lister` each part has a twin under `input/items-*` with the URIs as JSON strings, made of the
 * stored part alone, so that whoever makes it makes the same bytes.
 */
import type { Dataset, DatasetObject } from "../../backends/dataset.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { compileFilter } from "../../protocol/globs.ts";
import type { JobInput } from "../../protocol/jobs.ts";
import type { jobKeys } from "../../protocol/keys.ts";
import type { StagedObject } from "../../protocol/pointers.ts";
import { DamagedObject, parseStoredLine } from "../../protocol/stored.ts";
import { LISTING_HEAD, STAGED_OBJECT } from "../../protocol/stored-kinds.ts";
import { readObject } from "../jobs/stored.ts";
import { readableUri, toUri } from "../../protocol/dataset-uris.ts";

type ListedInput = Extract<JobInput, { readonly paths: readonly string[] }>;

/** Where the listing goes on: which of the submission's paths, behind which URI. */
interface ListingPlace {
  readonly path: number;
  readonly after: string | null;
}

interface ListingHead {
  /** Null on the last part. */
  readonly next: ListingPlace | null;
  /** Objects and their bytes in the parts up to this one. */
  readonly objects: number;
  readonly bytes: number;
}

/** `input/listing-end.json`. */
export interface ListingEnd {
  readonly parts: number;
  readonly objects: number;
  readonly bytes: number;
}

interface Listed {
  readonly object: DatasetObject;
  readonly path: number;
}

/**
 * Objects that an input matches, in the order of its paths, then of their URIs; overlapping paths give duplicates, as the
 * predecessor did. One element a page of the dataset, possibly empty. Throws `DatasetError`, `GlobInvalid`.
 */
export async function* matchingObjects(
  dataset: Dataset,
  input: Pick<ListedInput, "paths" | "includes" | "excludes">,
  from: ListingPlace = { path: 0, after: null },
): AsyncGenerator<readonly Listed[]> {
  const passes = compileFilter(input.includes, input.excludes);
  for (let path = from.path; path < input.paths.length; path++) {
    const after = path === from.path ? from.after : null;
    const pages = dataset.list(toUri(input.paths[path] ?? ""), after === null ? {} : { after });
    for await (const page of pages) {
      yield page.filter(({ uri }) => passes(readableUri(uri))).map((object) => ({ object, path }));
    }
  }
}

export type ListingStep =
  { readonly kind: "listing"; readonly objects: number } | { readonly kind: "listed"; readonly end: ListingEnd };

export class Listing {
  readonly #store: ObjectStore;
  readonly #dataset: Dataset;
  readonly #keys: ReturnType<typeof jobKeys>;
  readonly #input: ListedInput;
  readonly #partObjects: number;
  #part = 0;
  #head: ListingHead = { next: { path: 0, after: null }, objects: 0, bytes: 0 };
  #opened = false;
  #pages: AsyncGenerator<readonly Listed[]> | undefined;
  #pending: Listed[] = [];

  constructor(
    store: ObjectStore,
    dataset: Dataset,
    keys: ReturnType<typeof jobKeys>,
    input: ListedInput,
    partObjects = 20_000,
  ) {
    this.#store = store;
    this.#dataset = dataset;
    this.#keys = keys;
    this.#input = input;
    this.#partObjects = partObjects;
  }

  /** Lists one page, or stages one part. Goes on from what is stored. Throws `DatasetError`. */
  async step(): Promise<ListingStep> {
    if (!this.#opened) {
      const end = await this.#open();
      if (end !== undefined) return { kind: "listed", end };
    }
    if (this.#head.next === null) return { kind: "listed", end: await this.#finish() };
    this.#pages ??= matchingObjects(this.#dataset, this.#input, this.#head.next);
    if (this.#pending.length < this.#partObjects) {
      const page = await this.#pages.next();
      if (page.done !== true) {
        for (const listed of page.value) this.#pending.push(listed);
        return { kind: "listing", objects: this.#head.objects + this.#pending.length };
      }
      await this.#stage(this.#pending, true);
    } else {
      await this.#stage(this.#pending.slice(0, this.#partObjects), false);
    }
    return { kind: "listing", objects: this.#head.objects };
  }

  /** Reads how far the listing came. */
  async #open(): Promise<ListingEnd | undefined> {
    const end = await readObject<ListingEnd>(this.#store, this.#keys.listingEnd);
    if (end !== undefined) return end;
    for (;;) {
      const stored = await this.#store.get(this.#keys.listing(this.#part));
      if (stored === undefined) break;
      await this.#adopt(stored.bytes);
    }
    this.#opened = true;
    return undefined;
  }

  async #stage(chosen: readonly Listed[], last: boolean): Promise<void> {
    const final = chosen.at(-1);
    const head: ListingHead = {
      next: last || final === undefined ? null : { path: final.path, after: final.object.uri },
      objects: this.#head.objects + chosen.length,
      bytes: chosen.reduce((sum, { object }) => sum + object.sizeBytes, this.#head.bytes),
    };
    const bytes = Buffer.from([head, ...chosen.map(staged)].map((line) => `${JSON.stringify(line)}\n`).join(""));
    const key = this.#keys.listing(this.#part);
    if (await this.#store.put(key, bytes)) {
      this.#pending = this.#pending.slice(chosen.length);
      await this.#adopt(bytes);
      return;
    }
    const stored = await this.#store.get(key);
    if (stored === undefined) throw new Error(`${key} exists and cannot be read`);
    // Another splitter was first: what it listed is the truth, and we go on behind it.
    this.#pending = [];
    this.#pages = undefined;
    await this.#adopt(stored.bytes);
  }

  async #adopt(bytes: Buffer): Promise<void> {
    const key = this.#keys.listing(this.#part);
    const { head, objects } = listingLines(key, bytes);
    if (head.objects !== this.#head.objects + objects.length) throw new DamagedObject(key, "lacks lines");
    if (this.#input.kind === "file_path_lister" && objects.length > 0) {
      await this.#store.put(this.#keys.items(this.#part), listedUris(objects));
    }
    this.#head = head;
    this.#part += 1;
  }

  async #finish(): Promise<ListingEnd> {
    const end: ListingEnd = { parts: this.#part, objects: this.#head.objects, bytes: this.#head.bytes };
    await this.#store.put(this.#keys.listingEnd, Buffer.from(JSON.stringify(end)));
    return end;
  }
}

function staged({ object }: Listed): StagedObject {
  return { uri: object.uri, size: object.sizeBytes, etag: object.etag };
}

/** A stored part of the listing. */
export function listingLines(
  key: string,
  bytes: Buffer,
): { readonly head: ListingHead; readonly objects: readonly StagedObject[] } {
  const [first = "", ...others] = bytes.toString("utf8").split("\n").filter(Boolean);
  const head = parseStoredLine<ListingHead>(key, first, LISTING_HEAD);
  const objects = others.map((line) => parseStoredLine<StagedObject>(key, line, STAGED_OBJECT));
  const listed = objects.length <= head.objects;
  if (!listed || bytes.at(-1) !== NEWLINE) throw new DamagedObject(key, "does not hold the lines that it counts");
  return { head, objects };
}

/** The twin of a part, whose items they are. */
export function listedUris(objects: readonly StagedObject[]): Buffer {
  return Buffer.from(objects.map(({ uri }) => `${JSON.stringify(uri)}\n`).join(""));
}

const NEWLINE = 10;
