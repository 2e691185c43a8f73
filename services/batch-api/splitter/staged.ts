/** The staged input as a list of objects to cut, walked in order and entered anywhere. */
import type { ObjectStore } from "../../backends/object-store.ts";
import type { JobInput } from "../../protocol/jobs.ts";
import type { jobKeys } from "../../protocol/keys.ts";
import type { ItemFormat, StagedObject } from "../../protocol/pointers.ts";
import { listingLines } from "./listing.ts";

/** Where the splitter stands; in split files as their cursor. */
export interface Place {
  /** Part of the staged listing, or of the staged items. */
  readonly part: number;
  /** Which of the part's objects. */
  readonly object: number;
  /** Byte in that object. */
  readonly offset: number;
  /** Its format, once decided. */
  readonly format: ItemFormat | null;
}

export const BEGINNING: Place = { part: 0, object: 0, offset: 0, format: null };

export class StagedInput {
  readonly #store: ObjectStore;
  readonly #keys: ReturnType<typeof jobKeys>;
  readonly #kind: JobInput["kind"];
  #part = -1;
  #objects: readonly StagedObject[] | undefined;

  constructor(store: ObjectStore, keys: ReturnType<typeof jobKeys>, kind: JobInput["kind"]) {
    this.#store = store;
    this.#keys = keys;
    this.#kind = kind;
  }

  /** The object at a place, or the first one of the parts after it; undefined behind the last one. */
  async at(place: Place): Promise<{ readonly object: StagedObject; readonly place: Place } | undefined> {
    for (let wanted = place; ; wanted = { ...BEGINNING, part: wanted.part + 1 }) {
      if (wanted.part !== this.#part) {
        this.#objects = await this.#load(wanted.part);
        this.#part = wanted.part;
      }
      if (this.#objects === undefined) return undefined;
      const object = this.#objects[wanted.object];
      if (object !== undefined) return { object, place: wanted };
    }
  }

  async #load(part: number): Promise<readonly StagedObject[] | undefined> {
    if (this.#kind === "delimited_files") {
      const stored = await this.#store.get(this.#keys.listing(part));
      return stored && listingLines(stored.bytes).objects;
    }
    const key = this.#keys.items(part);
    const size = await this.#store.size(key);
    return size === undefined ? undefined : [{ uri: `store:${key}`, size, etag: "" }];
  }
}
