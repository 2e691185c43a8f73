/** The staged input as a list of objects to cut, walked in order and entered anywhere. */
import type { ObjectStore } from "../../backends/object-store.ts";
import type { SubmittedInput } from "../../protocol/jobs.ts";
import type { jobKeys } from "../../protocol/keys.ts";
import type { ItemFormat, StagedObject } from "../../protocol/pointers.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { readNamed } from "../jobs/stored.ts";
import { listedUris, listingLines, type ListingEnd } from "./listing.ts";

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
  readonly #input: SubmittedInput;
  #part = -1;
  #parts: number | undefined;
  #objects: readonly StagedObject[] | undefined;

  constructor(store: ObjectStore, keys: ReturnType<typeof jobKeys>, input: SubmittedInput) {
    this.#store = store;
    this.#keys = keys;
    this.#input = input;
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
    const input = this.#input;
    if (input.kind === "item_list") return part === 0 ? [await this.#staged(part, input.bytes)] : undefined;
    const listed = await this.#listed(part);
    if (listed === undefined || input.kind === "delimited_files") return listed;
    return listed.length === 0 ? [] : [await this.#staged(part, listedUris(listed).length)];
  }

  /** Items that were staged, and are as long as they were. */
  async #staged(part: number, bytes: number): Promise<StagedObject> {
    const key = this.#keys.items(part);
    const size = await this.#store.size(key);
    if (size === bytes) return { uri: `store:${key}`, size, etag: "" };
    throw new DamagedObject(key, size === undefined ? "is gone" : `has ${String(size)} bytes, not ${String(bytes)}`);
  }

  /** A part of the listing, which has ended: its end says how many there are. */
  async #listed(part: number): Promise<readonly StagedObject[] | undefined> {
    this.#parts ??= (await readNamed<ListingEnd>(this.#store, this.#keys.listingEnd)).parts;
    if (part >= this.#parts) return undefined;
    const key = this.#keys.listing(part);
    const stored = await this.#store.get(key);
    if (stored === undefined) throw new DamagedObject(key, "is gone");
    return listingLines(key, stored.bytes).objects;
  }
}
