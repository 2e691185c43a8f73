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
    return (JSON.parse(end.bytes.toString("utf8")) as SplitEnd).batches;
  }

  async #pointer(split: number, offset: number): Promise<BatchPointer> {
    if (this.#file?.split !== split) this.#file = await this.#read(split);
    return pointerAt(this.#file, offset);
  }

  async #read(split: number): Promise<SplitFile> {
    const key = this.#keys.split(split);
    const found = await this.#store.get(key);
    if (found === undefined) throw new Error(`${key}, whose batches were sent, is not there`);
    const file = JSON.parse(found.bytes.toString("utf8")) as SplitFile;
    const { format }: { readonly format: number } = file;
    if (format === SPLIT_FORMAT) return file;
    throw new Error(`${key} has format ${String(format)}, and this worker reads format ${String(SPLIT_FORMAT)}`);
  }
}
