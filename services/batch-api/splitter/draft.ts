/** The split file in the making. */
import { DatasetError } from "../../backends/dataset.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { addOrigin, type OriginRun } from "../../protocol/origins.ts";
import { CHANGED_ETAG, SPLIT_FORMAT } from "../../protocol/pointers.ts";
import type { Source, SplitFile } from "../../protocol/pointers.ts";

export class Draft {
  readonly split: number;
  readonly #firstBatch: number;
  readonly #firstItem: number;
  readonly #sources: Source[] = [];
  readonly #sourceIndex = new Map<string, number>();
  #source = -1;
  readonly #origins: number[] = [];
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

  /** Appends whole items of one object to the batch in work. */
  add(source: Source, start: number, end: number, items: number): void {
    if (source !== this.#latest) {
      this.#source = this.#indexOf(source);
      this.#latest = source;
    }
    if (source.etag !== CHANGED_ETAG) this.#batchBytes += end - start;
    if (this.#batchBytes > LIMITS.frameBytesMax) {
      throw new DatasetError(
        "unsupported",
        source.uri,
        `${source.uri}: the batch of ${String(this.batchItems + items)} items that ends at byte ${String(end)} ` +
          `has more than ${String(LIMITS.frameBytesMax)} bytes; lower batch_size`,
      );
    }
    this.#batch.push(this.#source, start, end, items);
    this.batchItems += items;
    this.#items += items;
  }

  /** Says where items that were just added come from, in the root of a retry's family. */
  originate(run: OriginRun): void {
    addOrigin(this.#origins, run);
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
      ...(this.#origins.length === 0 ? {} : { origins: this.#origins }),
      cursor,
    };
  }

  #indexOf(source: Source): number {
    const name = [source.uri, source.etag, source.format].join("\n");
    const known = this.#sourceIndex.get(name);
    if (known !== undefined) return known;
    this.#sources.push(source);
    this.#sourceIndex.set(name, this.#sources.length - 1);
    return this.#sources.length - 1;
  }
}
