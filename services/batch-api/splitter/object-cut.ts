/** One object on its way through a cutter, chunk by chunk. */
import { DatasetError } from "../../backends/dataset.ts";
import { JsonShapeError } from "../../protocol/json-scanner.ts";
import type { ItemFormat, Source, StagedObject } from "../../protocol/pointers.ts";
import { ChunkReader } from "./chunks.ts";
import type { Chunk, ReadRange } from "./chunks.ts";
import { cutterFor } from "./cutter.ts";
import type { Cutter } from "./cutter.ts";
import type { CutSpan } from "./draft.ts";
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

  /** The items that ended since `begin`. */
  get span(): CutSpan {
    const { start, end, items } = this.#started;
    return { start, end, items };
  }

  get items(): number {
    return this.#cutter?.items ?? 0;
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

  /** Scans what is loaded until `wanted` more items have ended, or all of it. Throws `DatasetError`. */
  take(wanted: number): void {
    const { bytes, base } = this.#chunk ?? { bytes: Buffer.alloc(0), base: 0 };
    this.#named(() => {
      this.#at = this.#started.take(bytes, base, this.#at, wanted);
    });
    this.#offset = base + this.#at;
  }

  /** The next span begins where the scan stands. */
  begin(): void {
    this.#started.begin(this.#offset);
  }

  /** The object is through; one more item may have ended. Throws `DatasetError`. */
  finish(): void {
    this.#named(() => {
      this.#started.finish(this.#object.size);
    });
    this.#offset = this.#object.size;
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

  #named(cut: () => void): void {
    try {
      cut();
    } catch (error) {
      if (!(error instanceof JsonShapeError)) throw error;
      const { uri } = this.#object;
      throw new DatasetError("unsupported", uri, `${uri} cannot be cut into items: ${error.message}`, { cause: error });
    }
  }
}
