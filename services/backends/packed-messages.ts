import type { BatchMessage, Message } from "../protocol/messages.ts";
import { MESSAGE_FORMAT } from "../protocol/messages.ts";
import type { Source, Span } from "../protocol/pointers.ts";

/** What the messages of a pack share; said once per pack instead of once per message. */
export interface PackTables {
  readonly heads: readonly PackHead[];
  readonly sources: readonly Source[];
  /** Messages that are no plain batch message: completion tickets, and whatever does not fit the packed form. */
  readonly others: readonly Message[];
}

interface PackHead {
  readonly job: string;
  readonly epoch: number;
}

type PackedField = "kind" | "format" | "job" | "epoch" | "batch" | "attempt" | "first_item" | "pointer" | "alone";
/** A batch message, every field of which is packed: a field that is added there does not compile before it is added here. */
type PackableMessage = Exclude<keyof BatchMessage, PackedField> extends never ? BatchMessage : never;

const ALONE = 1;
const OTHER = 2;
/** The pointer's item count is not the sum over its spans, and stands on its own. */
const ITEMS_APART = 4;

/** Field names and punctuation of a source as JSON. */
const SOURCE_BYTES = 40;

/** A varint of 2^53 - 1 takes eight bytes. */
const VARINT_BYTES_MAX = 8;

/**
 * Messages one after the other in a few bytes each (about 20 for a batch), because a million may wait in a lane and all
 * of them travel over a socket: numbers as varints, jobs and sources as indexes into tables. Grows only at its end.
 *
 *     const pack = new MessagePack();
 *     const at = pack.append(message);
 *     pack.read(at); // the same message again
 */
export class MessagePack {
  private readonly heads: PackHead[];
  private readonly sources: Source[];
  private readonly others: Message[];
  /** Index of each source's address, so that a pack of many sources is still built in linear time. */
  private readonly sourceIndexes = new Map<string, number>();
  private buffer: Buffer;
  private end: number;
  /** Where the last read ended: the offset of the next message. */
  private cursor = 0;
  /** About how many bytes the tables take as JSON. */
  private tableBytes = 0;

  constructor(bytesExpected = 1024) {
    this.heads = [];
    this.sources = [];
    this.others = [];
    this.buffer = Buffer.allocUnsafeSlow(bytesExpected);
    this.end = 0;
  }

  /** A pack for reading, as it came over a wire. Messages that it does not hold throw a RangeError when they are read. */
  static of(tables: PackTables, bytes: Buffer): MessagePack {
    const pack = new MessagePack(0);
    pack.heads.push(...tables.heads);
    for (const source of tables.sources) pack.sources.push(source);
    for (const other of tables.others) pack.others.push(other);
    pack.buffer = bytes;
    pack.end = bytes.length;
    return pack;
  }

  /** Bytes used so far: the offset that the next message will have. */
  get length(): number {
    return this.end;
  }

  /** Offset after the message that was read last. */
  get next(): number {
    return this.cursor;
  }

  /** About how many bytes it takes on a wire, tables included. */
  get wireBytes(): number {
    return this.end + this.tableBytes;
  }

  get tables(): PackTables {
    return { heads: this.heads, sources: this.sources, others: this.others };
  }

  /** The packed messages, without their tables; a view, good until the next append. */
  get bytes(): Buffer {
    return this.buffer.subarray(0, this.end);
  }

  /** Drops what is only needed for appending. */
  seal(): void {
    this.sourceIndexes.clear();
  }

  append(message: Message): number {
    const offset = this.end;
    if (message.kind === "batch" && isPackable(message)) this.appendBatch(message);
    else {
      this.reserve(1 + VARINT_BYTES_MAX);
      this.buffer[this.end++] = OTHER;
      this.write(this.others.push(message) - 1);
    }
    return offset;
  }

  /** Throws a RangeError when no message starts there. */
  read(offset: number): Message {
    this.cursor = offset;
    const flags = this.byte();
    if ((flags & OTHER) !== 0) return known(this.others[this.number()]);
    const { job, epoch } = known(this.heads[this.number()]);
    const batch = this.number();
    const attempt = this.number();
    const first_item = this.number();
    const count = this.number();
    const spans: Span[] = [];
    let items = 0;
    for (let i = 0; i < count; i++) {
      const span = this.span();
      items += span.items;
      spans.push(span);
    }
    if ((flags & ITEMS_APART) !== 0) items = this.number();
    const pointer = { items, spans };
    if ((flags & ALONE) === 0) {
      return { kind: "batch", format: MESSAGE_FORMAT, job, epoch, batch, attempt, first_item, pointer };
    }
    return { kind: "batch", format: MESSAGE_FORMAT, job, epoch, batch, attempt, first_item, pointer, alone: true };
  }

  private appendBatch(message: PackableMessage): void {
    const { spans, items } = message.pointer;
    this.reserve(1 + VARINT_BYTES_MAX * (6 + 4 * spans.length));
    let itemsInSpans = 0;
    for (const span of spans) itemsInSpans += span.items;
    const apart = items === itemsInSpans ? 0 : ITEMS_APART;
    this.buffer[this.end++] = (message.alone === true ? ALONE : 0) | apart;
    this.write(this.headIndex(message.job, message.epoch));
    this.write(message.batch);
    this.write(message.attempt);
    this.write(message.first_item);
    this.write(spans.length);
    for (const span of spans) {
      this.write(this.sourceIndex(span));
      this.write(span.start);
      this.write(span.end - span.start);
      this.write(span.items);
    }
    if (apart !== 0) this.write(items);
  }

  private span(): Span {
    const { uri, etag, format } = known(this.sources[this.number()]);
    const start = this.number();
    const end = start + this.number();
    return { uri, etag, format, start, end, items: this.number() };
  }

  private headIndex(job: string, epoch: number): number {
    const last = this.heads.length - 1;
    for (let i = last; i >= 0; i--) {
      const head = this.heads[i];
      if (head?.epoch === epoch && head.job === job) return i;
    }
    return this.heads.push({ job, epoch }) - 1;
  }

  private sourceIndex(span: Span): number {
    const index = this.sourceIndexes.get(span.uri);
    const found = index === undefined ? undefined : this.sources[index];
    if (index !== undefined && found?.etag === span.etag && found.format === span.format) return index;
    const added = this.sources.push({ uri: span.uri, etag: span.etag, format: span.format }) - 1;
    this.sourceIndexes.set(span.uri, added);
    this.tableBytes += span.uri.length + span.etag.length + SOURCE_BYTES;
    return added;
  }

  private reserve(bytes: number): void {
    if (this.end + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.buffer.length, this.end + bytes));
    this.buffer.copy(larger, 0, 0, this.end);
    this.buffer = larger;
  }

  private write(value: number): void {
    let rest = value;
    while (rest >= 0x8000_0000) {
      this.buffer[this.end++] = (rest % 128) | 128; // beyond 31 bits the shifts below would lose digits
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      this.buffer[this.end++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.buffer[this.end++] = rest;
  }

  private byte(): number {
    if (this.cursor >= this.end) throw new RangeError("the pack ends inside a message");
    return known(this.buffer[this.cursor++]);
  }

  private number(): number {
    let byte = this.byte();
    if (byte < 128) return byte;
    let value = byte & 127;
    let weight = 128;
    do {
      byte = this.byte();
      value += (byte & 127) * weight;
      weight *= 128;
    } while (byte >= 128);
    return value;
  }
}

function isPackable({ epoch, batch, attempt, first_item, pointer }: BatchMessage): boolean {
  if (!isCount(epoch) || !isCount(batch) || !isCount(attempt) || !isCount(first_item)) return false;
  return isCount(pointer.items) && pointer.spans.every(isPackableSpan);
}

function isPackableSpan({ start, end, items }: Span): boolean {
  return isCount(start) && isCount(end) && end >= start && isCount(items);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError("the pack names what is not in its tables");
  return value;
}
