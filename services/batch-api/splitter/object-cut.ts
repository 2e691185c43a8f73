/** One object on its way through a cutter, chunk by chunk. */
import { DatasetError } from "../../backends/dataset.ts";
import { JsonShapeError } from "../../protocol/json-scanner.ts";
import type { ItemFormat, Source, StagedObject } from "../../protocol/pointers.ts";
import { ChunkReader } from "./chunks.ts";
import type { Chunk, ReadRange } from "./chunks.ts";
import { cutterFor } from "./cutter-for.ts";
import type { Cutter } from "./cutter.ts";
import type { Draft } from "./draft.ts";
import { formatOf } from "./format.ts";
import type { LineScanner } from "./lines.ts";
import type { Place } from "./staged.ts";

export class ObjectCut {
  readonly #object: StagedObject;
  readonly #place: Place;
  readonly #scanner: LineScanner;
  readonly #reader: ChunkReader;
  #format: ItemFormat = "lines";
  #source: Source | undefined;
  #cutter: Cutter | undefined;
  #chunk: Chunk | undefined;
  #at = 0;
  #offset: number;

  constructor(object: StagedObject, place: Place, read: ReadRange, scanner: LineScanner) {
    this.#object = object;
    this.#place = place;
    this.#scanner = scanner;
    this.#reader = new ChunkReader(read, object.size, place.offset, scanner.buffers);
    this.#offset = place.offset;
  }

  /** The same reference for the life of this object, so that a split names it once. */
  get source(): Source {
    return (this.#source ??= { uri: this.#object.uri, etag: this.#object.etag, format: this.#format });
  }

  /** Where the scan stands. */
  get place(): Place {
    return { ...this.#place, offset: this.#offset, format: this.#format };
  }

  /** Bytes in memory that are not scanned yet; 0: `load` first. */
  get loadedBytes(): number {
    return this.#chunk === undefined ? 0 : this.#chunk.bytes.length - this.#at;
  }

  /** Brings the next chunk; false at the object's end. Throws `DatasetError`. */
  async load(): Promise<boolean> {
    this.#chunk = await this.#reader.next();
    this.#at = 0;
    if (this.#cutter === undefined) {
      this.#format = this.#place.format ?? this.#detect(this.#chunk);
      this.#cutter = cutterFor(this.#format, this.#place.offset, this.#scanner);
      this.#cutter.begin(this.#place.offset);
    }
    return this.#chunk !== undefined;
  }

  /** Cuts what is loaded into batches, until it is through or the draft holds so many. Throws `DatasetError`. */
  take(draft: Draft, batchSize: number, batchesMax: number): void {
    const { bytes, chunkStart } = this.#chunk ?? { bytes: Buffer.alloc(0), chunkStart: 0 };
    const cutter = this.#started;
    let at = this.#at;
    try {
      while (at < bytes.length && draft.batches < batchesMax) {
        at = cutter.take(bytes, chunkStart, at, batchSize - draft.batchItems - cutter.items);
        if (cutter.items + draft.batchItems < batchSize) continue;
        this.#fill(draft, cutter, chunkStart + at);
        draft.closeBatch();
      }
    } catch (error) {
      throw this.#named(error);
    }
    this.#at = at;
    this.#offset = chunkStart + at;
  }

  /** The object is through, which may end one more item. Throws `DatasetError`. */
  finish(draft: Draft, batchSize: number): void {
    const { size } = this.#object;
    try {
      this.#started.finish(size);
    } catch (error) {
      throw this.#named(error);
    }
    this.#offset = size;
    this.#fill(draft, this.#started, size);
    if (draft.batchItems === batchSize) draft.closeBatch();
  }

  /** Moves the items that were cut into the batch; the next span begins at `offset`. */
  #fill(draft: Draft, cutter: Cutter, offset: number): void {
    if (cutter.items > 0) draft.add(this.source, cutter.start, cutter.end, cutter.items);
    cutter.begin(offset);
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  get #started(): Cutter {
    if (this.#cutter === undefined) throw new Error("nothing was loaded yet");
    return this.#cutter;
  }

  /** Items staged by us are lines, whatever they look like. */
  #detect(chunk: Chunk | undefined): ItemFormat {
    if (chunk === undefined || this.#object.uri.startsWith("store:")) return "lines";
    return formatOf(chunk.bytes, chunk.bytes.length === this.#object.size);
  }

  #named(error: unknown): unknown {
    if (!(error instanceof JsonShapeError)) return error;
    const { uri } = this.#object;
    return new DatasetError("unsupported", uri, `${uri} cannot be cut into items: ${error.message}`, { cause: error });
  }
}
