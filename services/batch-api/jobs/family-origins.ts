/** Between a job's own items and those of its family's root, both ways, for readers that go forwards only. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type JobSpec, type Manifest } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { Origins } from "../../protocol/origins.ts";
import { SPLIT_FORMAT, type SplitEnd, type SplitFile } from "../../protocol/pointers.ts";
import { settledBatches } from "./settled-batches.ts";
import { readNamed } from "./stored.ts";

/** Which item of the root an item is; asked in ascending order. */
export class OriginReader {
  readonly #store: ObjectStore;
  readonly #spec: JobSpec;
  #split = -1;
  #origins: Origins | undefined;
  /** Items of the split files up to the one at hand. */
  #through = 0;

  constructor(store: ObjectStore, spec: JobSpec) {
    this.#store = store;
    this.#spec = spec;
  }

  async of(item: number): Promise<number> {
    if (this.#spec.input.kind !== "retry") return item;
    while (this.#origins === undefined || item >= this.#through) {
      const file = await splitFile(this.#store, this.#spec, ++this.#split);
      this.#origins = new Origins(file);
      this.#through = file.first_item + itemsIn(file);
    }
    for (const { first } of this.#origins.of(item, 1)) return first;
    throw new Error(`item ${String(item)} of job ${this.#spec.job} has no origin`);
  }
}

/** Which items of the root this job has settled, by success or failure; asked in ascending order. */
export class SettledOrigins {
  readonly #store: ObjectStore;
  readonly #spec: JobSpec;
  #opened: { readonly end: SplitEnd; readonly isSettled: (batch: number) => boolean } | undefined;
  #split = -1;
  #runs: readonly number[] = [];
  #run = 0;
  /** The first item of the run at hand. */
  #item = 0;

  constructor(store: ObjectStore, spec: JobSpec) {
    this.#store = store;
    this.#spec = spec;
  }

  async has(origin: number): Promise<boolean> {
    const { end, isSettled } = (this.#opened ??= await this.#open());
    const item = this.#spec.input.kind === "retry" ? await this.#itemOf(origin, end) : origin;
    if (item === undefined || item >= end.items) return false;
    return isSettled(Math.floor(item / this.#spec.input.batch_size));
  }

  async #open() {
    const { api, job } = this.#spec;
    const keys = jobKeys(api, job);
    const end = await readNamed<SplitEnd>(this.#store, keys.splitEnd, SPLIT_FORMAT);
    const { skipped } = await readNamed<Manifest>(this.#store, keys.manifest, JOB_FORMAT);
    const isSettled = skipped.batches === 0 ? () => true : await settledBatches(this.#store, this.#spec, end);
    return { end, isSettled };
  }

  /** The item that has this origin; undefined: none. */
  async #itemOf(origin: number, end: SplitEnd): Promise<number | undefined> {
    for (;;) {
      const [first, items] = [this.#runs[this.#run], this.#runs[this.#run + 1]];
      if (first === undefined || items === undefined) {
        if (this.#split + 1 >= end.splits) return undefined;
        const file = await splitFile(this.#store, this.#spec, ++this.#split);
        [this.#runs, this.#run, this.#item] = [file.origins ?? [], 0, file.first_item];
      } else if (origin < first) return undefined;
      else if (origin < first + items) return this.#item + origin - first;
      else {
        this.#item += items;
        this.#run += 2;
      }
    }
  }
}

function splitFile(store: ObjectStore, { api, job }: JobSpec, split: number): Promise<SplitFile> {
  return readNamed<SplitFile>(store, jobKeys(api, job).split(split), SPLIT_FORMAT);
}

function itemsIn({ batches }: SplitFile): number {
  let items = 0;
  for (const flat of batches) for (let at = 3; at < flat.length; at += 4) items += flat[at] ?? 0;
  return items;
}
