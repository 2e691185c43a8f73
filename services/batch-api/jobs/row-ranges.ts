/** Row bytes in batch order out of parts in which they lie in another order, with flat memory. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { DamagedObject } from "../../protocol/stored.ts";

/** Bytes [start, end) of a part. */
export interface RowRange {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** One batch's rows larger than this are read piece by piece on their own. */
const PIECE_BYTES = 1024 * 1024;
/** Rows of so many bytes are gathered and then read part by part: workers take turns in a job's batches. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const WINDOW_RANGES = 4096;
/** Unwanted bytes between two wanted ranges that cost less than another request. */
const GAP_BYTES = 64 * 1024;

/** The bytes of the ranges in the order in which they come. Throws when a part ends before its range does. */
export async function* readRanges(
  store: ObjectStore,
  ranges: AsyncIterable<RowRange> | Iterable<RowRange>,
  windowBytes = WINDOW_BYTES,
): AsyncGenerator<Buffer> {
  let window: RowRange[] = [];
  let bytes = 0;
  for await (const range of ranges) {
    const size = range.end - range.start;
    if (size <= 0) continue;
    if (size > PIECE_BYTES || bytes + size > windowBytes || window.length >= WINDOW_RANGES) {
      yield* readWindow(store, window);
      window = [];
      bytes = 0;
    }
    if (size > PIECE_BYTES) yield* readPieces(store, range);
    else {
      window.push(range);
      bytes += size;
    }
  }
  yield* readWindow(store, window);
}

export async function* readPieces(store: ObjectStore, range: RowRange): AsyncGenerator<Buffer> {
  for (let start = range.start; start < range.end; start += PIECE_BYTES) {
    yield await readExactly(store, { ...range, start, end: Math.min(range.end, start + PIECE_BYTES) });
  }
}

async function* readWindow(store: ObjectStore, window: readonly RowRange[]): AsyncGenerator<Buffer> {
  if (window.length === 0) return;
  const bytes: Buffer[] = [];
  for (const group of coalesced(window)) {
    const read = await readExactly(store, group.range);
    for (const at of group.members) {
      const wanted = window[at];
      if (wanted === undefined) continue;
      bytes[at] = read.subarray(wanted.start - group.range.start, wanted.end - group.range.start);
    }
  }
  yield Buffer.concat(bytes);
}

/** Ranges of one part that lie near each other, as one read, with the window's entries that it covers. */
function coalesced(window: readonly RowRange[]): { readonly range: RowRange; readonly members: number[] }[] {
  const order = window.map((range, at) => ({ range, at })).sort((a, b) => compare(a.range, b.range));
  const groups: { range: RowRange; members: number[] }[] = [];
  for (const { range, at } of order) {
    const last = groups.at(-1);
    if (last?.range.key === range.key && range.start - last.range.end <= GAP_BYTES) {
      last.range = { ...last.range, end: Math.max(last.range.end, range.end) };
      last.members.push(at);
    } else groups.push({ range, members: [at] });
  }
  return groups;
}

function compare(a: RowRange, b: RowRange): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return a.start - b.start;
}

async function readExactly(store: ObjectStore, { key, start, end }: RowRange): Promise<Buffer> {
  const found = await store.get(key, { start, end });
  if (found?.bytes.length !== end - start) {
    const has = found === undefined ? "is gone" : `has ${String(found.sizeBytes)} bytes`;
    throw new DamagedObject(key, `${has}, and rows up to byte ${String(end)} were recorded in it`);
  }
  return found.bytes;
}

/** Cuts NDJSON bytes into lines, without their newlines; a last line without one counts. */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const piece of bytes) {
    let start = 0;
    for (let at = piece.indexOf(10); at !== -1; at = piece.indexOf(10, start)) {
      const line = piece.subarray(start, at);
      yield (rest.length === 0 ? line : Buffer.concat([...rest, line])).toString("utf8");
      rest = [];
      start = at + 1;
    }
    if (start < piece.length) rest.push(piece.subarray(start));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString("utf8");
}
