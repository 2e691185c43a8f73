import type { Dataset } from "../backends/dataset.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import { itemRanges, joinPayload } from "../protocol/payload.ts";
import type { Span } from "../protocol/pointers.ts";

/** Batches that lie one after the other are read in one go, up to so many bytes. */
const GROUP_BYTES_MAX = 1024 * 1024;
const STORE_SCHEME = "store:";

/** Bytes that several batches of a hand share. */
interface ReadGroup {
  readonly span: Span;
  readonly start: number;
  end: number;
  bytes: Promise<Buffer> | undefined;
}

/** Where one item of a payload lies, with its bytes. */
export interface PayloadItem {
  readonly uri: string;
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
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
  readonly #groups = new WeakMap<BatchMessage, ReadGroup>();

  constructor(store: ObjectStore, dataset: Dataset) {
    this.#store = store;
    this.#dataset = dataset;
  }

  /** Tells which batches came together: those that touch will be read in one go. */
  group(messages: readonly BatchMessage[]): void {
    let group: ReadGroup | undefined;
    for (const message of messages) {
      const [span] = message.pointer.spans;
      if (span === undefined || message.pointer.spans.length !== 1) continue;
      const touches = group?.span.uri === span.uri && group.end === span.start && group.span.etag === span.etag;
      if (group !== undefined && touches && span.end - group.start <= GROUP_BYTES_MAX) group.end = span.end;
      else group = { span, start: span.start, end: span.end, bytes: undefined };
      this.#groups.set(message, group);
    }
  }

  /** Throws `DatasetError` when the user's data is not what was listed. */
  async read(message: BatchMessage): Promise<Payload> {
    const { spans } = message.pointer;
    const buffers = await Promise.all(spans.map((span) => this.#readSpan(message, span)));
    return {
      array: joinPayload(spans, buffers),
      items: () => spans.flatMap((span, index) => itemsOf(span, buffers[index] ?? Buffer.alloc(0))),
    };
  }

  async #readSpan(message: BatchMessage, span: Span): Promise<Buffer> {
    const group = this.#groups.get(message);
    if (group === undefined) return this.#readRange(span, span.start, span.end);
    group.bytes ??= this.#readRange(group.span, group.start, group.end);
    const bytes = await group.bytes;
    return bytes.subarray(span.start - group.start, span.end - group.start);
  }

  async #readRange({ uri, etag }: Span, start: number, end: number): Promise<Buffer> {
    if (!uri.startsWith(STORE_SCHEME)) return this.#dataset.read(uri, { start, end }, etag);
    const found = await this.#store.get(uri.slice(STORE_SCHEME.length), { start, end });
    if (found?.bytes.length !== end - start) throw new Error(`staged input ${uri} is missing or too short`);
    return found.bytes;
  }
}

function itemsOf(span: Span, bytes: Buffer): PayloadItem[] {
  return itemRanges(span, bytes).map(({ start, end }) => {
    return { uri: span.uri, start, end, bytes: bytes.subarray(start - span.start, end - span.start) };
  });
}
