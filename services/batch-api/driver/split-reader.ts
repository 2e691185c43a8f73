import type { ObjectStore } from "../../backends/object-store.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { readObject } from "../jobs/stored.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { pointerAt, splitOf, type BatchPointer, type SplitEnd, type SplitFile } from "../../protocol/pointers.ts";

/** Split files kept parsed: the one being sent, and a few for re-sends. */
const FILES_KEPT = 4;

export interface PointedBatch {
  readonly pointer: BatchPointer;
  readonly firstItem: number;
}

/** Reads a job's split files as they appear. Knows how many batches there are, and where each one's items lie. */
export class SplitReader {
  batches = 0;
  items = 0;
  splits = 0;
  end: SplitEnd | undefined;
  readonly #store: ObjectStore;
  readonly #keys: ReturnType<typeof jobKeys>;
  readonly #batchSize: number;
  /** Every batch has `batchSize` items but the last one. */
  #short: { readonly batch: number; readonly items: number } | undefined;
  readonly #files = new Map<number, SplitFile>();

  constructor(store: ObjectStore, api: string, job: string, batchSize: number) {
    this.#store = store;
    this.#keys = jobKeys(api, job);
    this.#batchSize = batchSize;
  }

  get complete(): boolean {
    return this.end !== undefined && this.splits >= this.end.splits;
  }

  /** Takes in new split files, and the end; answers whether anything was new. */
  async refresh(): Promise<boolean> {
    if (this.complete) return false;
    const before = this.splits;
    // The end first: then all the split files that it counts exist.
    const end = await readObject<SplitEnd>(this.#store, this.#keys.splitEnd);
    while (this.splits < (end?.splits ?? Infinity)) {
      const file = await this.#load(this.splits);
      if (file === undefined && end !== undefined) throw new DamagedObject(this.#keys.split(this.splits), "is gone");
      if (file === undefined) break;
      this.#takeIn(file);
    }
    if (end !== undefined) this.#endAt(end);
    return this.splits > before || end !== undefined;
  }

  /** A split that ended early ends there, also when a splitter that lost the race had written on: that never counts. */
  #endAt(end: SplitEnd): void {
    this.end = end;
    if (this.splits <= end.splits) return;
    this.splits = end.splits;
    this.batches = end.batches;
    this.items = end.items;
  }

  itemsOf(batch: number): number {
    return this.#short?.batch === batch ? this.#short.items : this.#batchSize;
  }

  /** Where a known batch's items lie. */
  async pointer(batch: number): Promise<PointedBatch> {
    const { split, first } = splitOf(batch);
    const file = this.#files.get(split) ?? (await this.#load(split));
    if (file === undefined) throw new DamagedObject(this.#keys.split(split), "is gone");
    this.#keep(file);
    return { pointer: pointerAt(file, batch - first), firstItem: (batch - first) * this.#batchSize + file.first_item };
  }

  #load(split: number): Promise<SplitFile | undefined> {
    return readObject<SplitFile>(this.#store, this.#keys.split(split));
  }

  #takeIn(file: SplitFile): void {
    this.splits += 1;
    this.batches = file.first_batch + file.batches.length;
    const last = file.batches.at(-1);
    let lastItems = 0;
    for (let at = 3; last !== undefined && at < last.length; at += 4) lastItems += last[at] ?? 0;
    this.items = file.first_item + Math.max(0, file.batches.length - 1) * this.#batchSize + lastItems;
    if (last !== undefined && lastItems !== this.#batchSize)
      this.#short = { batch: this.batches - 1, items: lastItems };
    this.#keep(file);
  }

  #keep(file: SplitFile): void {
    this.#files.delete(file.split);
    this.#files.set(file.split, file);
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= FILES_KEPT) break;
      this.#files.delete(oldest);
    }
  }
}
