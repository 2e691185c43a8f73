/** The split file in the making. */
import { DatasetError } from "../../backends/dataset.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { SPLIT_FORMAT } from "../../protocol/pointers.ts";
import type { Source, SplitFile } from "../../protocol/pointers.ts";

export class Draft {
  readonly split: number;
  readonly #firstBatch: number;
  readonly #firstItem: number;
  readonly #sources: Source[] = [];
  readonly #batches: number[][] = [];
  #latest: Source | undefined;
  #batch: number[] = [];
  #batchBytes = 0;
  #items = 0;
  /** Items in the batch that is being filled. */
  batchItems = 0;

  constructor(split: number, firstBatch: number, firstItem: number) {
    this.split = split;
    this.#firstBatch = firstBatch;
    this.#firstItem = firstItem;
  }

  /** The one after a stored split file. */
  static after(file: SplitFile): Draft {
    let items = file.first_item;
    for (const flat of file.batches) for (let at = 3; at < flat.length; at += 4) items += flat[at] ?? 0;
    return new Draft(file.split + 1, file.first_batch + file.batches.length, items);
  }

  /** Batches in it. */
  get batches(): number {
    return this.#batches.length;
  }

  /** Totals of the job before this split. */
  get before(): { readonly batches: number; readonly items: number } {
    return { batches: this.#firstBatch, items: this.#firstItem };
  }

  /** Items of the job so far, those of unfinished batches included. */
  get itemsThrough(): number {
    return this.#firstItem + this.#items;
  }

  /** Appends whole items of one object to the batch in work. `source` is the same reference for all spans of an object. */
  add(source: Source, start: number, end: number, items: number): void {
    if (source !== this.#latest) {
      this.#sources.push(source);
      this.#latest = source;
    }
    this.#batchBytes += end - start;
    if (this.#batchBytes > LIMITS.frameBytesMax) {
      throw new DatasetError(
        "unsupported",
        source.uri,
        `${source.uri}: the batch of ${String(this.batchItems + items)} items that ends at byte ${String(end)} ` +
          `has more than ${String(LIMITS.frameBytesMax)} bytes; lower batch_size`,
      );
    }
    this.#batch.push(this.#sources.length - 1, start, end, items);
    this.batchItems += items;
    this.#items += items;
  }

  /** The batch is full, or the input ends; an empty one is none. */
  closeBatch(): void {
    if (this.batchItems > 0) this.#batches.push(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
    this.batchItems = 0;
  }

  /** The finished file; `cursor` is where its last batch ends. */
  file(cursor: unknown): SplitFile {
    return {
      format: SPLIT_FORMAT,
      split: this.split,
      first_batch: this.#firstBatch,
      first_item: this.#firstItem,
      sources: this.#sources,
      batches: this.#batches,
      cursor,
    };
  }
}
