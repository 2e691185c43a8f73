/**
 * Cuts a job's input into batches of pointers and stores them as split files. It owns `input/listing-*`, `splits/*` and
 * nothing else (a retry's that of the family's root, whose listing it may have to end). Everything it writes is put-if-absent and a pure function of the staged input, so several splitters of one
 * job, or one that starts again, write the same bytes.
 *
 *     const splitter = new Splitter({ spec, store, dataset });
 *     for (;;) {
 *       const step = await splitter.step();
 *       if (step.kind === "ended" || step.kind === "no_match") break;
 *     }
 */
import type { Dataset } from "../../backends/dataset.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { JobSpec } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { batchesInSplit, SPLIT_FORMAT } from "../../protocol/pointers.ts";
import type { SplitEnd, SplitFile } from "../../protocol/pointers.ts";
import { readNamed, readObject } from "../jobs/stored.ts";
import { Draft } from "./draft.ts";
import { splitInputOf } from "./retry-cut.ts";
import type { SplitInput } from "./split-input.ts";

export interface SplitterOptions {
  readonly spec: Pick<JobSpec, "api" | "job" | "input">;
  readonly store: ObjectStore;
  readonly dataset: Dataset;
  /** Bytes of one read; default by where the data lies. */
  readonly chunkBytes?: number;
  /** A step ends, with nothing written, after it has scanned so many bytes. Default 64 MiB. */
  readonly stepBytes?: number;
  /** Batches in split file n; default `batchesInSplit`. */
  readonly batchesIn?: (split: number) => number;
}

export type SplitStep =
  /** The dataset is being listed: objects that match so far. */
  | { readonly kind: "listing"; readonly objects: number }
  /** Scanned on; nothing was written. */
  | { readonly kind: "scanned"; readonly items: number }
  /** A split file is stored, by us or by somebody else. */
  | { readonly kind: "split"; readonly file: SplitFile }
  /** No object of the dataset matches paths and globs; nothing more will come. */
  | { readonly kind: "no_match"; readonly message: string }
  /** `end.json` is stored; nothing more will come. */
  | { readonly kind: "ended"; readonly end: SplitEnd };

export class Splitter {
  readonly #options: SplitterOptions;
  readonly #keys: ReturnType<typeof jobKeys>;
  readonly #input: SplitInput;
  readonly #stepBytes: number;
  #resumed = false;
  #end: SplitEnd | undefined;
  #draft = new Draft(0, 0, 0);
  /** Where the last stored split ends. */
  #stored: unknown;

  constructor(options: SplitterOptions) {
    const { spec } = options;
    this.#options = options;
    this.#keys = jobKeys(spec.api, spec.job);
    this.#input = splitInputOf(spec, { ...options, batchSize: spec.input.batch_size });
    this.#stored = this.#input.place;
    this.#stepBytes = options.stepBytes ?? 64 * 1024 * 1024;
  }

  /**
   * Does one bounded piece of the work: lists a page, scans on, or writes at most one object. Call it until `ended` or
   * `no_match`. Throws `DatasetError` when the dataset cannot be read, has changed since it was listed, or cannot be cut.
   */
  async step(): Promise<SplitStep> {
    if (!this.#resumed) await this.#resume();
    if (this.#end !== undefined) return { kind: "ended", end: this.#end };
    const batchesMax = (this.#options.batchesIn ?? batchesInSplit)(this.#draft.split);
    for (let scanned = 0; this.#draft.batches < batchesMax;) {
      if (scanned >= this.#stepBytes) return { kind: "scanned", items: this.#draft.itemsThrough };
      const filled = await this.#input.fill(this.#draft, batchesMax);
      if (filled.kind === "listing" || filled.kind === "no_match") return filled;
      if (filled.kind === "through") {
        this.#draft.closeBatch();
        return this.#draft.batches > 0 ? this.#put() : { kind: "ended", end: await this.#writeEnd(true) };
      }
      scanned += filled.bytes;
    }
    return this.#put();
  }

  /**
   * Ends the split where it stands: splits stored so far count, nothing after them does. Answers what `end.json` says,
   * which somebody else may have written.
   */
  async endEarly(): Promise<SplitEnd> {
    if (!this.#resumed) await this.#resume();
    return this.#end ?? this.#writeEnd(false);
  }

  /** Goes on from what is stored. */
  async #resume(): Promise<void> {
    const { store } = this.#options;
    this.#end = await this.#readEnd();
    let last: string | undefined;
    for (let after: string | undefined, more = true; more;) {
      const page = await store.list(this.#keys.splits, after === undefined ? {} : { after });
      last = page.entries.findLast(({ key }) => key !== this.#keys.splitEnd)?.key ?? last;
      after = page.next;
      more = after !== undefined;
    }
    if (last !== undefined) {
      await this.#adopt(await readNamed<SplitFile>(store, last, SPLIT_FORMAT));
    }
    this.#resumed = true;
  }

  async #readEnd(): Promise<SplitEnd | undefined> {
    return readObject<SplitEnd>(this.#options.store, this.#keys.splitEnd, SPLIT_FORMAT);
  }

  /** Goes on after a stored split; what was cut beyond it is forgotten. */
  async #adopt(file: SplitFile): Promise<void> {
    await this.#input.enter(file.cursor);
    this.#draft = Draft.after(file);
    this.#stored = file.cursor;
  }

  /** Stores the draft. When the split exists, or the split has ended, ours loses and we go on from what is stored. */
  async #put(): Promise<SplitStep> {
    this.#end = await this.#readEnd();
    if (this.#end !== undefined) return { kind: "ended", end: this.#end };
    const file = this.#draft.file(this.#input.place);
    const key = this.#keys.split(file.split);
    if (await this.#options.store.put(key, Buffer.from(JSON.stringify(file)))) {
      this.#draft = Draft.after(file);
      this.#stored = file.cursor;
      return { kind: "split", file };
    }
    const theirs = await readNamed<SplitFile>(this.#options.store, key, SPLIT_FORMAT);
    await this.#adopt(theirs);
    return { kind: "split", file: theirs };
  }

  async #writeEnd(complete: boolean): Promise<SplitEnd> {
    const { split, before } = this.#draft;
    const end: SplitEnd = {
      format: SPLIT_FORMAT,
      complete,
      splits: split,
      ...before,
      ...(complete ? {} : { cursor: this.#stored }),
    };
    const key = this.#keys.splitEnd;
    const ours = await this.#options.store.put(key, Buffer.from(JSON.stringify(end)));
    this.#end = ours ? end : await this.#readEnd();
    if (this.#end === undefined) throw new Error(`${key} exists and cannot be read`);
    await this.#input.close();
    return this.#end;
  }
}
