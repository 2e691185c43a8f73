/** Where some items of a span lie, found in its bytes chunk by chunk: of a batch that failed as a whole only its span is known. */
import { JsonShapeError, type ItemRange } from "../../protocol/json-scanner.ts";
import type { Span } from "../../protocol/pointers.ts";
import { ChunkReader, type Chunk, type ReadRange } from "./chunks.ts";
import { cutterFor } from "./cutter-for.ts";
import type { Cutter } from "./cutter.ts";
import { LineScanner } from "./lines.ts";

const CHUNK_BYTES_MAX = 1024 * 1024;
const BUFFERS = 3;

/**
 * The bytes of items [from, to) of a span, for each of `wanted`, which ascend. Throws `JsonShapeError` when the span holds
 * other items than it says, and what `read` throws.
 */
export async function cutSpan(
  span: Span,
  wanted: readonly (readonly [from: number, to: number])[],
  read: ReadRange,
): Promise<ItemRange[]> {
  // The scanner wants the brackets that a span of an array's elements leaves out.
  const shift = span.format === "array" ? span.start - 1 : 0;
  const begin = span.format === "array" ? 0 : span.start;
  const size = span.format === "array" ? span.end - span.start + 2 : span.end;
  const scanner = new LineScanner(Math.min(CHUNK_BYTES_MAX, size - begin), BUFFERS);
  const reader = new ChunkReader(span.format === "array" ? bracketed(span, read) : read, size, begin, scanner.buffers);
  const walk = new SpanWalk(reader, cutterFor(span.format, begin, scanner), begin, size);
  try {
    const ranges: ItemRange[] = [];
    let item = 0;
    for (const [from, to] of wanted) {
      if (from > item) await walk.take(from - item);
      const { start, end } = await walk.take(to - from);
      ranges.push({ start: start + shift, end: end + shift });
      item = to;
    }
    return ranges;
  } finally {
    await reader.close();
  }
}

/** `[` + the span's bytes + `]`, as an object of its own. */
function bracketed(span: Span, read: ReadRange): ReadRange {
  const bytes = span.end - span.start;
  return async (start, end) => {
    const first = Math.max(0, start - 1);
    const last = Math.min(bytes, end - 1);
    const inside = last > first ? await read(span.start + first, span.start + last, Buffer.alloc(last - first)) : EMPTY;
    const parts = [start === 0 ? OPEN : EMPTY, inside, end === bytes + 2 ? CLOSE : EMPTY];
    return Buffer.concat(parts);
  };
}

const EMPTY = Buffer.alloc(0);
const OPEN = Buffer.from("[");
const CLOSE = Buffer.from("]");

class SpanWalk {
  readonly #reader: ChunkReader;
  readonly #cutter: Cutter;
  readonly #size: number;
  #chunk: Chunk | undefined;
  #at = 0;
  #offset: number;
  #finished = false;

  constructor(reader: ChunkReader, cutter: Cutter, offset: number, size: number) {
    this.#reader = reader;
    this.#cutter = cutter;
    this.#offset = offset;
    this.#size = size;
  }

  /** The span of the next items. */
  async take(items: number): Promise<ItemRange> {
    const cutter = this.#cutter;
    cutter.begin(this.#offset);
    while (cutter.items < items && !this.#finished) {
      if (this.#chunk === undefined || this.#at === this.#chunk.bytes.length) await this.#load();
      if (this.#chunk === undefined) continue;
      this.#at = cutter.take(this.#chunk.bytes, this.#chunk.chunkStart, this.#at, items - cutter.items);
      this.#offset = this.#chunk.chunkStart + this.#at;
    }
    if (cutter.items < items) throw new JsonShapeError(this.#size, "the span has fewer items than were cut from it");
    return { start: cutter.start, end: cutter.end };
  }

  async #load(): Promise<void> {
    this.#chunk = await this.#reader.next();
    this.#at = 0;
    if (this.#chunk !== undefined) return;
    this.#finished = true;
    this.#cutter.finish(this.#size);
    this.#offset = this.#size;
  }
}
