/**
 * Cuts a job's input into batches of pointers and stores them as split files. It owns `input/listing-*`, `splits/*` and
 * nothing else. Everything it writes is put-if-absent and a pure function of the staged input, so several splitters of one
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
import type { SplitEnd, SplitFile, StagedObject } from "../../protocol/pointers.ts";
import { Draft } from "./draft.ts";
import { LineScanner } from "./lines.ts";
import { Listing } from "./listing.ts";
import { ObjectCut } from "./object-cut.ts";
import { BEGINNING, StagedInput } from "./staged.ts";
import type { Place } from "./staged.ts";

export interface SplitterOptions {
  readonly spec: Pick<JobSpec, "api" | "job" | "input">;
  readonly store: ObjectStore;
  readonly dataset: Dataset;
  /** Bytes of one read; default by where the data lies, see `READS`. */
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

/**
 * How data is read ahead of the scan: bytes of one read, and buffers, all but one of which are being filled. From a disk
 * few reads that stay in the processor's cache; from S3 eight at a time, as one connection carries some 50 to 90 MB/s.
 */
const READS = {
  near: { chunkBytes: 2 * 1024 * 1024, buffers: 4 },
  s3: { chunkBytes: 8 * 1024 * 1024, buffers: 9 },
} as const;

/** What opening an object counts for in `stepBytes`, so that steps stay short over very many small objects. */
const OBJECT_COST_BYTES = 64 * 1024;

export class Splitter {
  readonly #options: SplitterOptions;
  readonly #keys: ReturnType<typeof jobKeys>;
  readonly #input: StagedInput;
  readonly #listing: Listing | undefined;
  readonly #stepBytes: number;
  #scanner: LineScanner | undefined;
  #resumed = false;
  #listed = false;
  #noMatch = false;
  #end: SplitEnd | undefined;
  #draft = new Draft(0, 0, 0);
  /** Where the object that is cut next begins, or goes on. */
  #place: Place = BEGINNING;
  /** Where the last stored split ends. */
  #stored: Place = BEGINNING;
  #cut: ObjectCut | undefined;

  constructor(options: SplitterOptions) {
    const { spec, store, dataset } = options;
    this.#options = options;
    this.#keys = jobKeys(spec.api, spec.job);
    this.#input = new StagedInput(store, this.#keys, spec.input.kind);
    this.#stepBytes = options.stepBytes ?? 64 * 1024 * 1024;
    if (spec.input.kind !== "item_list") this.#listing = new Listing(store, dataset, this.#keys, spec.input);
  }

  /**
   * Does one bounded piece of the work: lists a page, scans on, or writes at most one object. Call it until `ended` or
   * `no_match`. Throws `DatasetError` when the dataset cannot be read, has changed since it was listed, or cannot be cut.
   */
  async step(): Promise<SplitStep> {
    if (!this.#resumed) await this.#resume();
    if (this.#end !== undefined) return { kind: "ended", end: this.#end };
    if (this.#noMatch) return this.#nothing();
    if (this.#listing !== undefined && !this.#listed) {
      const step = await this.#listing.step();
      if (step.kind === "listing") return step;
      this.#listed = true;
      this.#noMatch = step.end.objects === 0;
      if (this.#noMatch) return this.#nothing();
    }
    return this.#splitOn();
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
      const stored = await store.get(last);
      if (stored === undefined) throw new Error(`${last} is listed and cannot be read`);
      await this.#adopt(JSON.parse(stored.bytes.toString()) as SplitFile);
    }
    this.#resumed = true;
  }

  async #readEnd(): Promise<SplitEnd | undefined> {
    const stored = await this.#options.store.get(this.#keys.splitEnd);
    return stored && (JSON.parse(stored.bytes.toString()) as SplitEnd);
  }

  /** Goes on after a stored split; what was cut beyond it is forgotten. */
  async #adopt(file: SplitFile): Promise<void> {
    await this.#cut?.close();
    this.#cut = undefined;
    this.#draft = Draft.after(file);
    this.#place = file.cursor as Place;
    this.#stored = this.#place;
  }

  async #splitOn(): Promise<SplitStep> {
    const batchesMax = (this.#options.batchesIn ?? batchesInSplit)(this.#draft.split);
    const batchSize = this.#options.spec.input.batch_size;
    for (let scanned = 0; this.#draft.batches < batchesMax;) {
      if (scanned >= this.#stepBytes) return { kind: "scanned", items: this.#draft.itemsThrough };
      const cut = (this.#cut ??= await this.#open());
      if (cut === undefined) {
        this.#draft.closeBatch();
        return this.#draft.batches > 0 ? this.#put() : { kind: "ended", end: await this.#writeEnd(true) };
      }
      if (cut.loadedBytes === 0 && !(await cut.load())) {
        cut.finish(this.#draft, batchSize);
        this.#leave(cut);
        scanned += OBJECT_COST_BYTES;
        continue;
      }
      const loaded = cut.loadedBytes;
      cut.take(this.#draft, batchSize, batchesMax);
      scanned += loaded - cut.loadedBytes;
    }
    return this.#put();
  }

  /** Opens the object at the current place; undefined behind the last one. */
  async #open(): Promise<ObjectCut | undefined> {
    const found = await this.#input.at(this.#place);
    if (found === undefined) return undefined;
    this.#place = found.place;
    const { object, place } = found;
    const reads = READS[object.uri.startsWith("s3:") ? "s3" : "near"];
    const chunkBytes = this.#options.chunkBytes ?? reads.chunkBytes;
    if (this.#scanner?.chunkBytes !== chunkBytes || this.#scanner.buffers.length !== reads.buffers) {
      this.#scanner = new LineScanner(chunkBytes, reads.buffers);
    }
    return new ObjectCut(object, place, (start, end, into) => this.#read(object, start, end, into), this.#scanner);
  }

  #leave(cut: ObjectCut): void {
    this.#cut = undefined;
    this.#place = { ...BEGINNING, part: cut.place.part, object: cut.place.object + 1 };
  }

  async #read(object: StagedObject, start: number, end: number, into: Buffer): Promise<Buffer> {
    const { store, dataset } = this.#options;
    if (!object.uri.startsWith("store:")) return dataset.read(object.uri, { start, end }, object.etag, into);
    const stored = await store.get(object.uri.slice("store:".length), { start, end });
    if (stored?.bytes.length !== end - start) throw new Error(`${object.uri} is not as it was staged`);
    return stored.bytes;
  }

  /** Stores the draft. When the split exists, or the split has ended, ours loses and we go on from what is stored. */
  async #put(): Promise<SplitStep> {
    this.#end = await this.#readEnd();
    if (this.#end !== undefined) return { kind: "ended", end: this.#end };
    // A full split ends where the scan stands, any other one with the input.
    const file = this.#draft.file(this.#cut?.place ?? this.#place);
    const key = this.#keys.split(file.split);
    if (await this.#options.store.put(key, Buffer.from(JSON.stringify(file)))) {
      this.#draft = Draft.after(file);
      this.#stored = file.cursor as Place;
      return { kind: "split", file };
    }
    const stored = await this.#options.store.get(key);
    if (stored === undefined) throw new Error(`${key} exists and cannot be read`);
    const theirs = JSON.parse(stored.bytes.toString()) as SplitFile;
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
    await this.#cut?.close();
    this.#cut = undefined;
    return this.#end;
  }

  #nothing(): SplitStep {
    const { input } = this.#options.spec;
    const paths = input.kind === "item_list" ? [] : input.paths;
    return { kind: "no_match", message: `${input.kind}: nothing matches ${paths.slice(0, 3).join(", ")}` };
  }
}
