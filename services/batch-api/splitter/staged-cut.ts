/** The input of a submission: its staged objects, cut one after the other. */
import type { JobSpec, SubmittedInput } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import type { ReadRange } from "./chunks.ts";
import type { Draft } from "./draft.ts";
import { LineScanner } from "./lines.ts";
import { Listing } from "./listing.ts";
import { ObjectCut } from "./object-cut.ts";
import { readSource, type SourceReads } from "./read-source.ts";
import type { Filled, SplitInput } from "./split-input.ts";
import { BEGINNING, StagedInput, type Place } from "./staged.ts";

export interface CutOptions extends SourceReads {
  /** Items of a batch that is full. */
  readonly batchSize: number;
  /** Bytes of one read; default by where the data lies, see `READS`. */
  readonly chunkBytes?: number;
}

/**
 * How data is read ahead of the scan: bytes of one read, and buffers, all but one of which are being filled. From a disk
 * few reads that stay in the processor's cache; from S3 eight at a time, as one connection carries some 50 to 90 MB/s.
 */
const READS = {
  near: { chunkBytes: 2 * 1024 * 1024, buffers: 4 },
  s3: { chunkBytes: 8 * 1024 * 1024, buffers: 9 },
} as const;

/** What opening an object counts for, so that steps stay short over very many small objects. */
const OBJECT_COST_BYTES = 64 * 1024;

interface SubmittedSpec extends Pick<JobSpec, "api" | "job"> {
  readonly input: SubmittedInput;
}

export class StagedCut implements SplitInput {
  readonly #options: CutOptions;
  readonly #staged: StagedInput;
  readonly #input: SubmittedInput;
  readonly #listing: Listing | undefined;
  #scanner: LineScanner | undefined;
  #listed: "listing" | "listed" | "no_match" = "listed";
  /** Where the object that is cut next begins, or goes on. */
  #place: Place = BEGINNING;
  #cut: ObjectCut | undefined;

  constructor({ api, job, input }: SubmittedSpec, options: CutOptions) {
    const { store, dataset } = options;
    const keys = jobKeys(api, job);
    this.#options = options;
    this.#input = input;
    this.#staged = new StagedInput(store, keys, input);
    if (input.kind === "item_list") return;
    this.#listing = new Listing(store, dataset, keys, input);
    this.#listed = "listing";
  }

  /** A full split ends where the scan stands, any other one with the input. */
  get place(): Place {
    return this.#cut?.place ?? this.#place;
  }

  async enter(place: unknown): Promise<void> {
    await this.close();
    this.#place = place as Place;
  }

  async fill(draft: Draft, batchesMax: number): Promise<Filled> {
    if (this.#listing !== undefined && this.#listed === "listing") {
      const step = await this.#listing.step();
      if (step.kind === "listing") return step;
      this.#listed = step.end.objects === 0 ? "no_match" : "listed";
    }
    if (this.#listed === "no_match") return this.#nothing();
    const cut = (this.#cut ??= await this.#open());
    if (cut === undefined) return { kind: "through" };
    const { batchSize } = this.#options;
    if (cut.loadedBytes === 0 && !(await cut.load())) {
      cut.finish(draft, batchSize);
      this.#leave(cut);
      return { kind: "scanned", bytes: OBJECT_COST_BYTES };
    }
    const loaded = cut.loadedBytes;
    cut.take(draft, batchSize, batchesMax);
    return { kind: "scanned", bytes: loaded - cut.loadedBytes };
  }

  async close(): Promise<void> {
    await this.#cut?.close();
    this.#cut = undefined;
  }

  /** Opens the object at the current place; undefined behind the last one. */
  async #open(): Promise<ObjectCut | undefined> {
    const found = await this.#staged.at(this.#place);
    if (found === undefined) return undefined;
    this.#place = found.place;
    const { object, place } = found;
    const reads = READS[object.uri.startsWith("s3:") ? "s3" : "near"];
    const chunkBytes = this.#options.chunkBytes ?? reads.chunkBytes;
    if (this.#scanner?.chunkBytes !== chunkBytes || this.#scanner.buffers.length !== reads.buffers) {
      this.#scanner = new LineScanner(chunkBytes, reads.buffers);
    }
    const read: ReadRange = (start, end, into) => readSource(this.#options, object, start, end, into);
    return new ObjectCut(object, place, read, this.#scanner);
  }

  #leave(cut: ObjectCut): void {
    this.#cut = undefined;
    this.#place = { ...BEGINNING, part: cut.place.part, object: cut.place.object + 1 };
  }

  #nothing(): Filled {
    const input = this.#input;
    const paths = input.kind === "item_list" ? [] : input.paths;
    return { kind: "no_match", message: `${input.kind}: nothing matches ${paths.slice(0, 3).join(", ")}` };
  }
}
