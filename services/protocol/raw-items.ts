/**
 * Finds the elements of `item_list.items` in the bytes of a submission, so that they survive byte for byte (big integers,
 * escapes, duplicate keys). Checks the grammar of RFC 8259 on the way, without recursion and without quoting a payload.
 */
import { LIMITS } from "./limits.ts";

/** The body is no JSON; `expected` completes "expected …". */
export class JsonFault extends Error {
  readonly offset: number;
  readonly expected: string;
  readonly found: string;

  constructor(offset: number, expected: string, found: string) {
    super(`at byte ${String(offset)}: expected ${expected}, found ${found}`);
    this.offset = offset;
    this.expected = expected;
    this.found = found;
  }
}

interface ScannedBody {
  /** The body's text with every `item_list.items` array emptied. */
  readonly rest: string;
  /** Start and end offsets of the elements, flat; undefined: `item_list.items` is no array. Of doubled keys the last wins. */
  readonly elements: readonly number[] | undefined;
}

const OBJECT = 0x7b;
const ARRAY = 0x5b;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

type Awaiting = "value" | "first value or ]" | "key" | "first key or }" | "comma or end";

/** Throws `JsonFault`. `sameKey` tells whether a key of the body means the field `name`. */
export function scanSubmission(
  body: Buffer,
  sameKey: (key: string, name: string) => boolean = (key, name) => key === name,
): ScannedBody {
  return new Scanner(body, sameKey).scan();
}

class Scanner {
  readonly #body: Buffer;
  readonly #sameKey: (key: string, name: string) => boolean;
  readonly #open: number[] = [];
  /** Whether the key in work at depth 1 is `item_list`, and at depth 2 below it `items`. */
  #inList = false;
  #inItems = false;
  #at = 0;
  #awaiting: Awaiting = "value";
  #elements: number[] | undefined;
  /** Bytes to leave out of `rest`. */
  readonly #cuts: number[] = [];

  constructor(body: Buffer, sameKey: (key: string, name: string) => boolean) {
    this.#body = body;
    this.#sameKey = sameKey;
  }

  scan(): ScannedBody {
    do {
      this.#space();
      const byte = this.#body[this.#at];
      if (this.#awaiting === "comma or end") this.#commaOrEnd(byte);
      else if (this.#awaiting === "key" || this.#awaiting === "first key or }") this.#keyOrEnd(byte);
      else if (this.#awaiting === "first value or ]" && byte === 0x5d) this.#close();
      else this.#value(byte);
    } while (this.#open.length > 0);
    this.#space();
    if (this.#at < this.#body.length) this.#fail("the end of the body");
    return { rest: this.#rest(), elements: this.#elements };
  }

  #rest(): string {
    const pieces: Buffer[] = [];
    let from = 0;
    for (let cut = 0; cut + 1 < this.#cuts.length; cut += 2) {
      pieces.push(this.#body.subarray(from, this.#cuts[cut]));
      from = this.#cuts[cut + 1] ?? from;
    }
    pieces.push(this.#body.subarray(from));
    return Buffer.concat(pieces).toString("utf8");
  }

  #value(byte: number | undefined): void {
    const depth = this.#open.length;
    if (depth === 1 && this.#inList) this.#elements = undefined;
    if (depth === 2 && this.#inItems) this.#elements = byte === ARRAY ? [] : undefined;
    if (this.#isElement()) this.#elements?.push(this.#at);
    if (byte === OBJECT || byte === ARRAY) {
      if (depth >= LIMITS.requestNestingMax) {
        this.#fail(`at most ${String(LIMITS.requestNestingMax)} levels of nesting`, "more");
      }
      this.#at += 1;
      this.#open.push(byte);
      if (this.#isItems()) this.#cuts.push(this.#at);
      this.#awaiting = byte === OBJECT ? "first key or }" : "first value or ]";
      return;
    }
    if (byte === QUOTE) this.#string();
    else if (byte === 0x2d || isDigit(byte)) this.#number();
    else this.#word();
    this.#ended();
  }

  #ended(): void {
    if (this.#isElement()) this.#elements?.push(this.#at);
    this.#awaiting = "comma or end";
  }

  #isItems(): boolean {
    return this.#open.length === 3 && this.#inList && this.#inItems && this.#open[2] === ARRAY;
  }

  #isElement(): boolean {
    return this.#isItems() && this.#open[1] === OBJECT;
  }

  #close(): void {
    if (this.#isItems()) this.#cuts.push(this.#at);
    this.#open.pop();
    this.#at += 1;
    this.#ended();
  }

  #commaOrEnd(byte: number | undefined): void {
    const inObject = this.#open[this.#open.length - 1] === OBJECT;
    if (byte === COMMA) {
      this.#at += 1;
      this.#awaiting = inObject ? "key" : "value";
    } else if (byte === (inObject ? 0x7d : 0x5d)) this.#close();
    else this.#fail(inObject ? '"," or "}"' : '"," or "]"');
  }

  #keyOrEnd(byte: number | undefined): void {
    if (byte === 0x7d && this.#awaiting === "first key or }") {
      this.#close();
      return;
    }
    if (byte !== QUOTE) this.#fail(this.#awaiting === "key" ? "a key in quotes" : 'a key in quotes or "}"');
    const start = this.#at;
    this.#string();
    const depth = this.#open.length;
    if (depth === 1) {
      this.#inList = this.#isKey(start, "item_list");
      this.#inItems = false;
    } else if (depth === 2) this.#inItems = this.#inList && this.#open[0] === OBJECT && this.#isKey(start, "items");
    this.#space();
    if (this.#body[this.#at] !== 0x3a) this.#fail('":"');
    this.#at += 1;
    this.#awaiting = "value";
  }

  #isKey(start: number, name: string): boolean {
    // A character is at most an escape of 6 bytes; longer keys are not worth decoding.
    if (this.#at - start > name.length * 6 + 2) return false;
    const key = JSON.parse(this.#body.toString("utf8", start, this.#at)) as string;
    return this.#sameKey(key, name);
  }

  #space(): void {
    for (let byte = this.#body[this.#at]; byte !== undefined && isSpace(byte); byte = this.#body[this.#at])
      this.#at += 1;
  }

  #string(): void {
    const body = this.#body;
    let at = this.#at + 1;
    for (;;) {
      const byte = body[at];
      if (byte === QUOTE) break;
      if (byte === undefined || byte < 0x20) {
        this.#at = at;
        this.#fail('the closing quote of a text (line breaks inside are written as "\\n")');
      }
      if (byte !== BACKSLASH) at += 1;
      else at = this.#escape(at);
    }
    this.#at = at + 1;
  }

  /** Returns the offset after the escape that begins at `at`. */
  #escape(at: number): number {
    const letter = this.#body[at + 1];
    if (letter !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(letter))) return at + 2;
    const unicode = this.#body.toString("latin1", at + 1, at + 6);
    if (/^u[0-9a-fA-F]{4}$/.test(unicode)) return at + 6;
    this.#at = at;
    return this.#fail('an escape that JSON knows (\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX)');
  }

  #number(): void {
    if (this.#body[this.#at] === 0x2d) this.#at += 1;
    if (this.#body[this.#at] === 0x30) this.#at += 1;
    else this.#digits();
    if (this.#body[this.#at] === 0x2e) {
      this.#at += 1;
      this.#digits();
    }
    const exponent = this.#body[this.#at];
    if (exponent === 0x65 || exponent === 0x45) {
      this.#at += 1;
      const sign = this.#body[this.#at];
      if (sign === 0x2b || sign === 0x2d) this.#at += 1;
      this.#digits();
    }
  }

  #digits(): void {
    if (!isDigit(this.#body[this.#at])) this.#fail("a digit");
    while (isDigit(this.#body[this.#at])) this.#at += 1;
  }

  #word(): void {
    for (const word of ["true", "false", "null"]) {
      if (this.#body.toString("latin1", this.#at, this.#at + word.length) === word) {
        this.#at += word.length;
        return;
      }
    }
    this.#fail("a JSON value");
  }

  #fail(expected: string, found?: string): never {
    throw new JsonFault(this.#at, expected, found ?? kindOfByte(this.#body[this.#at]));
  }
}

/** In words, never the byte itself. */
function kindOfByte(byte: number | undefined): string {
  if (byte === undefined) return "the end of the body";
  if (isDigit(byte)) return "a digit";
  if (byte < 0x20) return byte === 0x0a || byte === 0x0d ? "a line break" : "a control character";
  const named = { '"': "a quote", "'": "a single quote", "\\": "a backslash", ",": "a comma", "}": "a closing brace" };
  const character = String.fromCharCode(byte);
  if (Object.hasOwn(named, character)) return named[character as keyof typeof named];
  return /[a-zA-Z]/.test(character) ? "a letter" : "another character";
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** The elements as buffers; line breaks, which stand only between tokens, become blanks (the items are staged as lines). */
export function sliceElements(body: Buffer, elements: readonly number[]): Buffer[] {
  const items: Buffer[] = [];
  for (let at = 0; at + 1 < elements.length; at += 2)
    items.push(onOneLine(body.subarray(elements[at], elements[at + 1])));
  return items;
}

function onOneLine(element: Buffer): Buffer {
  if (!element.includes(0x0a) && !element.includes(0x0d)) return element;
  const copy = Buffer.from(element);
  for (let at = 0; at < copy.length; at += 1) if (copy[at] === 0x0a || copy[at] === 0x0d) copy[at] = 0x20;
  return copy;
}
