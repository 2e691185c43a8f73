/** Items of an ended job's batches that failed, or were skipped, as spans of the data in which they lie. */
import { DatasetError } from "../../backends/dataset.ts";
import { JsonShapeError } from "../../protocol/json-scanner.ts";
import type { jobKeys } from "../../protocol/keys.ts";
import { Origins } from "../../protocol/origins.ts";
import { CHANGED_ETAG, pointerAt, SPLIT_FORMAT, type Source, type Span, type SplitEnd } from "../../protocol/pointers.ts"; // prettier-ignore
import type { ErrorRow, ManifestPart } from "../../protocol/jobs.ts";
import type { SplitFile } from "../../protocol/pointers.ts";
import { readObject } from "../jobs/stored.ts";
import type { Draft } from "./draft.ts";
import { FailedRows, type RowPlace } from "./failed-rows.ts";
import { readSource, type SourceReads } from "./read-source.ts";
import { cutSpan } from "./span-cut.ts";

/** Where the next item is looked for: a split file of the ended job, an item's index in it, and the error rows from there on. */
export interface ItemPlace extends RowPlace {
  readonly split: number;
  readonly item: number;
}

interface EndedJob {
  readonly keys: ReturnType<typeof jobKeys>;
  readonly end: SplitEnd;
  readonly batchSize: number;
  readonly errors: readonly ManifestPart[];
  /** Of a batch; absent: skipped ones are not wanted. */
  readonly isSettled?: (batch: number) => boolean;
}

/** Items that follow each other in one span, and in the ended job from `item` on. */
interface Run {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
  readonly item: number;
  readonly items: number;
}

/** A wanted item of a batch; `at` as its error row says it. */
interface Wanted {
  readonly offset: number;
  readonly at?: ErrorRow["at"];
}

export class RetriedItems {
  readonly #reads: SourceReads;
  readonly #job: EndedJob;
  readonly #batchSize: number;
  readonly #rows: FailedRows;
  #split: number;
  /** Everything before this item is passed. */
  #item: number;
  #file: { readonly file: SplitFile; readonly origins: Origins; readonly items: number } | undefined;
  /** The runs of the batch at work that are not taken yet, the last one first, and where its error rows begin. */
  #runs: Run[] = [];
  #rowsOfRuns: RowPlace | undefined;

  /** `batchSize`: of the batches that are made, so that a run never crosses the end of one. */
  constructor(reads: SourceReads, job: EndedJob, batchSize: number, place: ItemPlace) {
    this.#reads = reads;
    this.#job = job;
    this.#batchSize = batchSize;
    this.#rows = new FailedRows(reads.store, job.errors, { part: place.part, byte: place.byte });
    this.#split = place.split;
    this.#item = place.item;
  }

  /** Where the next item is. */
  get place(): ItemPlace {
    const rows = this.#runs.length > 0 ? this.#rowsOfRuns : undefined;
    return { split: this.#split, item: this.#runs.at(-1)?.item ?? this.#item, ...(rows ?? this.#rows.place) };
  }

  /** Adds the next batch's items, until the draft holds so many batches; false when there are no more. Throws `DatasetError`. */
  async fill(draft: Draft, batchesMax: number): Promise<boolean> {
    if (this.#runs.length === 0 && !(await this.#nextRuns(draft.batchItems))) return false;
    while (draft.batches < batchesMax) {
      const run = this.#runs.pop();
      if (run === undefined) break;
      draft.add(run.source, run.start, run.end, run.items);
      for (const origin of this.#file?.origins.of(run.item, run.items) ?? []) draft.originate(origin);
      if (draft.batchItems === this.#batchSize) draft.closeBatch();
    }
    return true;
  }

  /** Bytes of error rows that were gone through. */
  get passedBytes(): number {
    return this.#rows.passedBytes;
  }

  /** Makes the runs of the next batch with wanted items; false behind the last one. */
  async #nextRuns(batchItems: number): Promise<boolean> {
    for (; this.#split < this.#job.end.splits; this.#split++) {
      const opened = (this.#file ??= await this.#open(this.#split));
      const batch = await this.#nextBatch(opened.file, opened.file.first_item + opened.items);
      if (batch !== undefined) {
        this.#rowsOfRuns = this.#rows.place;
        const first = opened.file.first_item + (batch - opened.file.first_batch) * this.#job.batchSize;
        const { spans, items } = pointerAt(opened.file, batch - opened.file.first_batch);
        const wanted = await this.#wantedOf(batch, first, items);
        this.#runs = (await this.#runsOf(spans, first, wanted, batchItems)).reverse();
        this.#item = first + items;
        return true;
      }
      this.#item = opened.file.first_item + opened.items;
      this.#file = undefined;
    }
    return false;
  }

  async #open(split: number) {
    const key = this.#job.keys.split(split);
    const file = await readObject<SplitFile>(this.#reads.store, key, SPLIT_FORMAT);
    if (file === undefined) throw gone(key);
    let items = 0;
    for (const flat of file.batches) for (let at = 3; at < flat.length; at += 4) items += flat[at] ?? 0;
    return { file, origins: new Origins(file), items };
  }

  /** The next batch of a split file in which an item failed, or that was skipped. */
  async #nextBatch(file: SplitFile, itemsEnd: number): Promise<number | undefined> {
    const { first_batch: first, first_item: firstItem, batches } = file;
    const end = first + batches.length;
    // The last batch may be short: behind it nothing is left.
    const from = this.#item >= itemsEnd ? end : first + Math.floor((this.#item - firstItem) / this.#job.batchSize);
    // Rows of a batch that was taken in part stay: the place of its first one is the same for whoever begins there.
    while (((await this.#rows.peek())?.batch ?? Infinity) < from) this.#rows.pass();
    let next = Math.min(end, (await this.#rows.peek())?.batch ?? end);
    for (let batch = from; batch < next; batch++) {
      if (this.#job.isSettled?.(batch) === false) next = batch;
    }
    return next < end ? next : undefined;
  }

  async #wantedOf(batch: number, first: number, items: number): Promise<Wanted[]> {
    if (this.#job.isSettled?.(batch) === false) {
      const offsets = Array.from({ length: items }, (_, offset) => ({ offset }));
      return offsets.slice(Math.max(0, this.#item - first));
    }
    const wanted: Wanted[] = [];
    for (let row = await this.#rows.peek(); row?.batch === batch; row = await this.#rows.peek()) {
      if (row.index >= this.#item) wanted.push({ offset: row.index - first, at: row.at });
      this.#rows.pass();
    }
    return wanted;
  }

  /** The wanted items as runs, none of which crosses the end of a span or of a batch that is made. */
  async #runsOf(spans: readonly Span[], first: number, wanted: readonly Wanted[], batchItems: number): Promise<Run[]> {
    const runs: Run[] = [];
    let room = this.#batchSize - batchItems;
    let spanFirst = 0;
    let next = 0;
    for (const span of spans) {
      const pieces: Wanted[][] = [];
      for (let item = wanted[next]; item !== undefined && item.offset < spanFirst + span.items; item = wanted[++next]) {
        const last = pieces.at(-1);
        if (last?.at(-1)?.offset === item.offset - 1 && room > 0) last.push(item);
        else pieces.push([item]);
        if (room === 0) room = this.#batchSize;
        room -= 1;
      }
      for (const run of await this.#placed(span, spanFirst, pieces)) runs.push({ ...run, item: run.item + first });
      spanFirst += span.items;
    }
    return runs;
  }

  /** Where pieces of one span lie: as their error rows say, or else as its bytes do; `item` counts from the batch's first one. */
  async #placed(span: Span, spanFirst: number, pieces: readonly (readonly Wanted[])[]): Promise<Run[]> {
    const source = { uri: span.uri, etag: span.etag, format: span.format };
    const known = pieces.map((piece) => knownRange(span, piece));
    const unknown = pieces.filter((_, index) => known[index] === undefined);
    const cut = unknown.length === 0 ? [] : await this.#cut(span, spanFirst, unknown);
    let taken = 0;
    return pieces.map((piece, index) => {
      const range = known[index] ?? cut?.[taken++];
      const place = range === undefined ? { source: { ...source, etag: CHANGED_ETAG }, ...span } : { source, ...range };
      return {
        source: place.source,
        start: place.start,
        end: place.end,
        item: piece[0]?.offset ?? 0,
        items: piece.length,
      };
    });
  }

  /** Undefined when the span's bytes are no longer what was cut: nothing in them is run, and each item fails by that. */
  async #cut(span: Span, spanFirst: number, pieces: readonly (readonly Wanted[])[]) {
    const wanted = pieces.map((piece) => {
      const from = (piece[0]?.offset ?? 0) - spanFirst;
      return [from, from + piece.length] as const;
    });
    try {
      return await cutSpan(span, wanted, (start, end, into) => readSource(this.#reads, span, start, end, into));
    } catch (error) {
      const lasts = error instanceof JsonShapeError || (error instanceof DatasetError && error.fault !== "unreachable");
      if (lasts) return undefined;
      throw error;
    }
  }
}

/** Undefined where the rows name the span of their batch, and not the item in it. */
function knownRange(
  span: Span,
  piece: readonly Wanted[],
): { readonly start: number; readonly end: number } | undefined {
  if (piece.length === span.items) return { start: span.start, end: span.end };
  let last = -1;
  for (const { at } of piece) {
    if (at?.uri !== span.uri || at.start < Math.max(span.start, last) || at.end > span.end) return undefined;
    if (at.start === span.start && at.end === span.end) return undefined;
    last = at.end;
  }
  return { start: piece[0]?.at?.start ?? span.start, end: last };
}

/** What a retry reads of its parent is not there any more. */
export function gone(key: string): DatasetError {
  return new DatasetError("missing", `store:${key}`, `${key}, which says which items are retried, is gone; submit the data again`); // prettier-ignore
}
