/** Turns the bytes of spans into the JSON array that a handler gets. Items pass through byte for byte. */
import { bomBytes, isBlank, valueRanges } from "./json-scanner.ts";
import type { ItemRange } from "./json-scanner.ts";
import type { Span } from "./pointers.ts";

const NEWLINE = 0x0a;
const COMMA = 0x2c;
const SPACE = 0x20;

/**
 * `[` + all items of all spans in order, separated by commas and white space + `]`. One allocation. `buffers[i]` holds the
 * bytes of `spans[i]`. It is JSON exactly when every item is; use `itemRanges` when it does not parse.
 * Throws `JsonShapeError` when the bytes of a concatenated span are not what the splitter saw.
 */
export function joinPayload(spans: readonly Span[], buffers: readonly Buffer[]): Buffer {
  const ranges = spans.map((span, index) =>
    span.format === "concatenated" ? itemRanges(span, bytesAt(buffers, index)) : undefined,
  );
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  const commas = ranges.reduce((sum, values) => sum + (values?.length ?? 0), 0);
  const joined = Buffer.allocUnsafe(bytes + commas + spans.length + 2);
  let at = 0;
  let items = 0;
  joined[at++] = 0x5b;
  spans.forEach((span, index) => {
    const buffer = bytesAt(buffers, index);
    const values = ranges[index];
    if (values !== undefined) {
      for (const { start, end } of values) {
        if (items++ > 0) joined[at++] = COMMA;
        at += buffer.copy(joined, at, start - span.start, end - span.start);
      }
      return;
    }
    joined[at++] = SPACE;
    buffer.copy(joined, at);
    if (span.format === "lines") {
      if (span.start === 0) joined.fill(SPACE, at, at + bomBytes(buffer));
      items += separateLines(joined, at, at + buffer.length, items);
    } else if (span.items > 0) {
      if (items > 0) joined[at - 1] = COMMA;
      items += span.items;
    }
    at += buffer.length;
  });
  joined[at++] = 0x5d;
  return joined.subarray(0, at);
}

/**
 * Puts a comma on the byte before each line that holds something (a line break, or the space left before the span), but
 * not before the payload's first item. Answers the number of such lines.
 */
function separateLines(joined: Buffer, from: number, to: number, itemsBefore: number): number {
  let items = 0;
  for (let at = from; at < to;) {
    const found = joined.indexOf(NEWLINE, at);
    const end = found === -1 || found >= to ? to : found;
    if (!isBlankLine(joined, at, end)) {
      if (itemsBefore + items > 0) joined[at - 1] = COMMA;
      items += 1;
    }
    at = end + 1;
  }
  return items;
}

function isBlankLine(bytes: Buffer, from: number, to: number): boolean {
  let at = from;
  while (at < to && isBlank(bytes[at] ?? 0)) at += 1;
  return at === to;
}

/** Where each item of a span lies in its source, white space around it left out. Throws `JsonShapeError`. */
export function itemRanges(span: Span, bytes: Buffer): ItemRange[] {
  if (span.format === "concatenated") return valueRanges(bytes, "concatenated", span.start);
  if (span.format === "array") {
    // The scanner wants the brackets that the span leaves out.
    const whole = Buffer.concat([Buffer.from("["), bytes, Buffer.from("]")]);
    return valueRanges(whole, "array", span.start - 1);
  }
  const ranges: ItemRange[] = [];
  for (let at = span.start === 0 ? bomBytes(bytes) : 0; at < bytes.length;) {
    const found = bytes.indexOf(NEWLINE, at);
    const end = found === -1 ? bytes.length : found;
    let first = at;
    let last = end;
    while (first < last && isBlank(bytes[first] ?? 0)) first += 1;
    while (last > first && isBlank(bytes[last - 1] ?? 0)) last -= 1;
    if (first < last) ranges.push({ start: span.start + first, end: span.start + last });
    at = end + 1;
  }
  return ranges;
}

function bytesAt(buffers: readonly Buffer[], index: number): Buffer {
  const bytes = buffers[index];
  if (bytes === undefined) throw new RangeError(`span ${String(index)} has no bytes`);
  return bytes;
}
