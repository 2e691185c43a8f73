/**
 * Finds where JSON values begin and end in bytes, without parsing them: brackets and strings are followed, nothing else is
 * checked, so a value that is not JSON is found as one value and fails alone when it is parsed. Works on any chunking:
 * a chunk may end inside an escape or a UTF-8 character.
 */

/** What lies around the values: one top-level array, or nothing but optional white space. */
export type ValueShape = "array" | "concatenated";

/** The bytes cannot be cut into values from `offset` on. */
export class JsonShapeError extends Error {
  override readonly name = "JsonShapeError";
  /** Byte offset in the whole input. */
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(`byte ${String(offset)}: ${message}`);
    this.offset = offset;
  }
}

const PHASE = {
  /** concatenated: a value or white space. */
  between: 0,
  /** array: its `[` has not come. */
  outside: 1,
  /** array: a value or `]`. */
  opened: 2,
  /** array: a value, after a comma. */
  due: 3,
  /** array: `,` or `]`, after a value. */
  after: 4,
  /** array: `]` has come. */
  closed: 5,
  /** Inside a number, a word or garbage. */
  scalar: 6,
  /** Inside an object or an array. */
  nested: 7,
  /** Inside a string, of any depth. */
  string: 8,
  /** After a backslash in a string. */
  escaped: 9,
} as const;
type Phase = (typeof PHASE)[keyof typeof PHASE];

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** White space of JSON. */
export function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Bytes of a byte order mark at the start. */
export function bomBytes(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

/**
 * One pass over an input. Usage: `begin()`, then `scan` chunk after chunk until `values` is what was wanted; `first` and
 * `last` then bound those values. After the last chunk `finish(size)`.
 */
export class ValueScanner {
  /** Values that ended since `begin`. */
  values = 0;
  /** Offset of the first byte of the first value that ended since `begin`. */
  first = -1;
  /** Offset after the last byte of the last value that ended. */
  last = -1;
  readonly #home: Phase;
  #phase: Phase;
  #depth = 0;
  #start = -1;

  /** `resumed`: the scan goes on after the last byte of some value, not at the input's beginning. */
  constructor(shape: ValueShape, resumed: boolean) {
    this.#home = shape === "array" ? PHASE.after : PHASE.between;
    this.#phase = shape === "concatenated" ? PHASE.between : resumed ? PHASE.after : PHASE.outside;
  }

  begin(): void {
    this.values = 0;
    this.first = -1;
  }

  /**
   * Scans `chunk` from index `from`, until so many more values have ended or the chunk is through; `chunkStart` is the offset of
   * `chunk[0]` in the input. Answers the index to go on at. Throws `JsonShapeError`.
   */
  scan(chunk: Uint8Array, chunkStart: number, from: number, wanted: number): number {
    let at = from;
    const goal = this.values + wanted;
    while (at < chunk.length) {
      switch (this.#phase) {
        case PHASE.string:
          at = this.#string(chunk, chunkStart, at);
          break;
        case PHASE.escaped:
          this.#phase = PHASE.string;
          at += 1;
          break;
        case PHASE.nested:
          at = this.#nested(chunk, chunkStart, at);
          break;
        case PHASE.scalar:
          while (at < chunk.length && !endsScalar(chunk[at] ?? 0)) at += 1;
          if (at < chunk.length) this.#ended(chunkStart + at);
          break;
        default:
          at = this.#outside(chunk, chunkStart, at);
      }
      if (this.values === goal) return at;
    }
    return at;
  }

  /** The input ends at `size`. Throws `JsonShapeError` when a value or the array is cut off. */
  finish(size: number): void {
    if (this.#phase === PHASE.scalar && this.#home === PHASE.between) this.#ended(size);
    if (this.#phase >= PHASE.scalar) {
      throw new JsonShapeError(this.#start, `the input ends inside the JSON value that begins here; is it complete?`);
    }
    if (this.#phase !== PHASE.between && this.#phase !== PHASE.closed && this.#phase !== PHASE.outside) {
      throw new JsonShapeError(size, `the input ends before the "]" of its top-level array; is it complete?`);
    }
  }

  #ended(end: number): void {
    if (this.values === 0) this.first = this.#start;
    this.values += 1;
    this.last = end;
    this.#phase = this.#home;
  }

  #string(chunk: Uint8Array, chunkStart: number, from: number): number {
    let at = from;
    for (; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === BACKSLASH) {
        this.#phase = PHASE.escaped;
        return at + 1;
      }
      if (byte === QUOTE) {
        if (this.#depth > 0) this.#phase = PHASE.nested;
        else this.#ended(chunkStart + at + 1);
        return at + 1;
      }
    }
    return at;
  }

  #nested(chunk: Uint8Array, chunkStart: number, from: number): number {
    let at = from;
    let depth = this.#depth;
    for (; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === QUOTE) {
        this.#phase = PHASE.string;
        at += 1;
        break;
      }
      if (byte === OPEN || byte === OPEN_BRACE) depth += 1;
      else if (byte === CLOSE || byte === CLOSE_BRACE) {
        depth -= 1;
        if (depth === 0) {
          this.#ended(chunkStart + at + 1);
          at += 1;
          break;
        }
      }
    }
    this.#depth = depth;
    return at;
  }

  /** Between values: one byte that matters. */
  #outside(chunk: Uint8Array, chunkStart: number, from: number): number {
    let at = from;
    while (at < chunk.length && isBlank(chunk[at] ?? 0)) at += 1;
    const byte = chunk[at];
    if (byte === undefined) return at;
    const offset = chunkStart + at;
    if (this.#phase === PHASE.outside) {
      if (byte !== OPEN) throw unexpected(byte, offset, `the "[" of the top-level array`);
      this.#phase = PHASE.opened;
    } else if (this.#phase === PHASE.closed) {
      throw unexpected(byte, offset, `nothing, after the top-level array's "]"`);
    } else if (this.#phase === PHASE.after) {
      if (byte !== COMMA && byte !== CLOSE) throw unexpected(byte, offset, `"," or "]" after an element`);
      this.#phase = byte === COMMA ? PHASE.due : PHASE.closed;
    } else if (this.#phase === PHASE.opened && byte === CLOSE) {
      this.#phase = PHASE.closed;
    } else {
      if (byte === CLOSE || byte === CLOSE_BRACE || byte === COMMA || byte === COLON) {
        throw unexpected(byte, offset, "the first character of a JSON value");
      }
      this.#start = offset;
      this.#phase = byte === QUOTE ? PHASE.string : byte === OPEN || byte === OPEN_BRACE ? PHASE.nested : PHASE.scalar;
      if (this.#phase === PHASE.nested) this.#depth = 1;
    }
    return at + 1;
  }
}

function endsScalar(byte: number): boolean {
  return (
    byte === COMMA ||
    byte === CLOSE ||
    byte === CLOSE_BRACE ||
    byte === OPEN ||
    byte === OPEN_BRACE ||
    byte === QUOTE ||
    isBlank(byte)
  );
}

/** Names structure only, never the user's content. */
function unexpected(byte: number, offset: number, expected: string): JsonShapeError {
  const found = '[]{},:"'.includes(String.fromCharCode(byte)) ? `"${String.fromCharCode(byte)}"` : "another character";
  return new JsonShapeError(offset, `found ${found} instead of ${expected}`);
}

/** Where an item's bytes lie; `end` is the first byte after it. */
export interface ItemRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Ranges of all values in `bytes`, `chunkStart` being the offset of its first byte. Throws `JsonShapeError`; the values before
 * the fault are then in `ranges`.
 */
export function valueRanges(
  bytes: Uint8Array,
  shape: ValueShape,
  chunkStart = 0,
  ranges: ItemRange[] = [],
): ItemRange[] {
  const scanner = new ValueScanner(shape, false);
  let at = 0;
  const take = () => {
    if (scanner.values > 0) ranges.push({ start: scanner.first, end: scanner.last });
    scanner.begin();
  };
  while (at < bytes.length) {
    at = scanner.scan(bytes, chunkStart, at, 1);
    take();
  }
  scanner.finish(chunkStart + bytes.length);
  take();
  return ranges;
}
