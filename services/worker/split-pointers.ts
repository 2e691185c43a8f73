import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys } from "../protocol/keys.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import {
  pointerAt,
  SPLIT_FORMAT,
  splitOf,
  type BatchPointer,
  type SplitEnd,
  type SplitFile,
} from "../protocol/pointers.ts";
import { DamagedObject, parseStored, UnreadableObject } from "../protocol/stored.ts";

/** Reads the pointers that were too long for their messages from the job's split files; the newest file is kept. */
export class SplitPointers {
  readonly #store: ObjectStore;
  readonly #keys: ReturnType<typeof jobKeys>;
  #file: SplitFile | undefined;
  #totalTold = false;

  constructor(store: ObjectStore, api: string, job: string) {
    this.#store = store;
    this.#keys = jobKeys(api, job);
  }

  /** The message with its whole pointer. Throws when the split file cannot be read, or says otherwise than the message. */
  async complete(message: BatchMessage): Promise<BatchMessage> {
    const { batch, pointer } = message;
    if (pointer.spans.length > 0) return message;
    const { split, first } = splitOf(batch);
    const found = await this.#pointer(split, batch - first);
    if (found.items !== pointer.items) {
      throw new Error(
        `${this.#keys.split(split)} has ${String(found.items)} items in batch ${String(batch)}, and its message ${String(pointer.items)}`,
      );
    }
    return { ...message, pointer: found };
  }

  /** The job's batches, answered once, when the split has ended. */
  async newTotal(): Promise<number | undefined> {
    const end = this.#totalTold ? undefined : await this.#store.get(this.#keys.splitEnd);
    if (end === undefined) return undefined;
    this.#totalTold = true;
    try {
      return parseStored<SplitEnd>(this.#keys.splitEnd, end.bytes, SPLIT_FORMAT).batches;
    } catch (error) {
      if (error instanceof UnreadableObject) return undefined; // its driver judges what becomes of the job
      throw error;
    }
  }

  async #pointer(split: number, offset: number): Promise<BatchPointer> {
    if (this.#file?.split !== split) this.#file = await this.#read(split);
    return pointerAt(this.#file, offset);
  }

  async #read(split: number): Promise<SplitFile> {
    const key = this.#keys.split(split);
    const found = await this.#store.get(key);
    if (found === undefined) throw new DamagedObject(key, "is gone");
    return parseStored<SplitFile>(key, found.bytes, SPLIT_FORMAT);
  }
}
