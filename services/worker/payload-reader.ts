import type { Dataset } from "../backends/dataset.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import { JsonShapeError } from "../protocol/json-scanner.ts";
import { itemRanges, joinPayload } from "../protocol/payload.ts";
import type { Span } from "../protocol/pointers.ts";
import { DamagedObject } from "../protocol/stored.ts";
import type { HeldBatch } from "./hand.ts";
import type { ReadGroup } from "./read-group.ts";

/** Batches that lie one after the other are read in one go, up to so many bytes. */
const GROUP_BYTES_MAX = 1024 * 1024;
const STORE_SCHEME = "store:";
const NOTHING = Buffer.alloc(0);

/** Where one item of a payload lies, with its bytes. */
export interface PayloadItem {
  readonly uri: string;
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
}

/** An item that may not have been read: then it lies somewhere in its span, and has no bytes. */
export interface ReadItem extends PayloadItem {
  /** Why, as it was thrown. */
  readonly fault?: unknown;
}

/** A batch's payload: the JSON array for the handler, and each item when the whole will not do. */
export interface Payload {
  readonly array: Buffer;
  items(): readonly PayloadItem[];
}

/** Reads batches' bytes ahead of the handler: neighbours in one source are read together. */
export class PayloadReader {
  readonly #store: ObjectStore;
  readonly #dataset: Dataset;
  #newest: ReadGroup | undefined;

  constructor(store: ObjectStore, dataset: Dataset) {
    this.#store = store;
    this.#dataset = dataset;
  }

  /** Tells which batches came together: those that touch will be read in one go. */
  group(batches: readonly HeldBatch[]): void {
    let group: ReadGroup | undefined;
    for (const held of batches) {
      const { spans } = held.message.pointer;
      if (group === undefined || !joins(group, spans)) {
        const ranges = spans.map((span) => ({ span, start: span.start, end: span.end }));
        group = { ranges, batches: 0, next: undefined, reading: undefined, buffers: undefined };
        if (this.#newest !== undefined) this.#newest.next = group;
        this.#newest = group;
      }
      group.batches += 1;
      held.group = group;
    }
  }

  /** Begins to read what so many batches need, from `first` on. */
  readAhead(first: HeldBatch, batches: number): void {
    let read = 0;
    for (let { group } = first; group !== undefined && read < batches; group = group.next) {
      this.#begin(group).catch(() => undefined); // whoever runs its batches hears of it
      read += Math.max(0, group.batches); // batches that were put back are read again, and counted twice
    }
  }

  /** At once when its bytes are there. Throws (or rejects with) `DatasetError` when the user's data is not what was listed. */
  read(held: HeldBatch): Payload | Promise<Payload> {
    const { spans } = held.message.pointer;
    if (held.group === undefined) this.group([held]);
    const { group } = held;
    if (group === undefined) throw new Error("a batch without a group");
    group.batches -= 1;
    if (group.buffers !== undefined) return payloadOf(spans, group, group.buffers);
    return this.#begin(group).then((buffers) => payloadOf(spans, group, buffers));
  }

  /** All items of a batch, each span read on its own: one that cannot be read takes no other along. */
  async readApart({ message }: HeldBatch): Promise<readonly ReadItem[]> {
    const read = message.pointer.spans.map(async (span) => {
      const { uri, start, end, items } = span;
      try {
        const found = itemsOf(span, await this.#readRange(span, start, end));
        if (found.length === items) return found;
        throw new JsonShapeError(start, `${String(items)} items were cut here, and ${String(found.length)} are`);
      } catch (fault) {
        return Array.from({ length: items }, () => ({ uri, start, end, bytes: NOTHING, fault }));
      }
    });
    return (await Promise.all(read)).flat();
  }

  #begin(group: ReadGroup): Promise<readonly Buffer[]> {
    return (group.reading ??= this.#readGroup(group));
  }

  async #readGroup(group: ReadGroup): Promise<readonly Buffer[]> {
    group.buffers = await Promise.all(group.ranges.map(({ span, start, end }) => this.#readRange(span, start, end)));
    return group.buffers;
  }

  async #readRange({ uri, etag }: Span, start: number, end: number): Promise<Buffer> {
    if (!uri.startsWith(STORE_SCHEME)) return this.#dataset.read(uri, { start, end }, etag);
    const key = uri.slice(STORE_SCHEME.length);
    const found = await this.#store.get(key, { start, end });
    if (found?.bytes.length !== end - start) throw new DamagedObject(key, "is gone or shorter than it was");
    return found.bytes;
  }
}

/** Whether a batch goes on where the group ends; then the group ends with it. */
function joins({ ranges: [last, ...others] }: ReadGroup, [span, ...further]: readonly Span[]): boolean {
  if (last === undefined || span === undefined || others.length > 0 || further.length > 0) return false;
  const touches = last.span.uri === span.uri && last.end === span.start && last.span.etag === span.etag;
  if (!touches || span.end - last.start > GROUP_BYTES_MAX) return false;
  last.end = span.end;
  return true;
}

function payloadOf(spans: readonly Span[], { ranges }: ReadGroup, read: readonly Buffer[]): Payload {
  const buffers = spans.map((span, index) => {
    const start = ranges[index]?.start ?? 0;
    return (read[index] ?? NOTHING).subarray(span.start - start, span.end - start);
  });
  return {
    array: joinPayload(spans, buffers),
    items: () => spans.flatMap((span, index) => itemsOf(span, buffers[index] ?? NOTHING)),
  };
}

function itemsOf(span: Span, bytes: Buffer): PayloadItem[] {
  return itemRanges(span, bytes).map(({ start, end }) => {
    return { uri: span.uri, start, end, bytes: bytes.subarray(start - span.start, end - span.start) };
  });
}
