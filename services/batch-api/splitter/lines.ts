/** JSON lines, cut and never parsed: only line feeds and white space are looked at, at the speed of memory. */
import { bomBytes } from "../../protocol/json-scanner.ts";
import { LINES_WASM } from "./lines.wasm.ts";
import type { Cutter } from "./cutter.ts";

interface LinesExports {
  readonly cut: (at: number, to: number, wanted: number) => number;
}

/** The little of it that is used here; the Node types leave it to the browser's. */
declare const WebAssembly: {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 65_536;
/** The scan reads whole blocks, beyond the chunk's end. */
const SLACK_BYTES = 64;
/** The scanner's state stands before the slots: whether the line in progress is solid, and how many lines were missing. */
const STATE_BYTES = 64;

let compiled: object | undefined;

/** A few buffers to read chunks into, in the scanner's own memory, so that nothing is copied. */
export class LineScanner {
  readonly chunkBytes: number;
  readonly buffers: readonly Buffer[];
  readonly #cut: LinesExports["cut"];
  readonly #state: Uint32Array;

  /** `slots`: how many buffers. */
  constructor(chunkBytes: number, slots: number) {
    this.chunkBytes = chunkBytes;
    const slotBytes = chunkBytes + SLACK_BYTES;
    const pages = Math.ceil((STATE_BYTES + slots * slotBytes) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages });
    compiled ??= new WebAssembly.Module(Buffer.from(LINES_WASM, "base64"));
    const { exports } = new WebAssembly.Instance(compiled, { m: { memory } });
    this.#cut = (exports as LinesExports).cut;
    this.#state = new Uint32Array(memory.buffer, 0, 2);
    this.buffers = Array.from({ length: slots }, (_, slot) =>
      Buffer.from(memory.buffer, STATE_BYTES + slot * slotBytes, chunkBytes),
    );
  }

  /** Whether the line in progress holds anything but white space. */
  get seen(): boolean {
    return this.#state[0] === 1;
  }

  set seen(seen: boolean) {
    this.#state[0] = seen ? 1 : 0;
  }

  /** Index after the end of the wanted-th non-blank line from `from` on, or the chunk's length. Chunks in `buffers` only. */
  cut(chunk: Buffer, from: number, wanted: number): number {
    const address = chunk.byteOffset;
    return this.#cut(address + from, address + chunk.length, wanted) - address;
  }

  /** Lines that the last `cut` wanted and did not find. */
  get left(): number {
    return this.#state[1] ?? 0;
  }
}

/** A span of lines starts where the one before ended and ends after a line feed, or at the object's end. */
export class LineCutter implements Cutter {
  items = 0;
  start = 0;
  end = 0;
  readonly #scanner: LineScanner;
  #seen = false;

  constructor(scanner: LineScanner) {
    this.#scanner = scanner;
  }

  begin(offset: number): void {
    this.items = 0;
    this.start = offset;
    this.end = offset;
  }

  take(chunk: Buffer, chunkStart: number, from: number, wanted: number): number {
    const scanner = this.#scanner;
    let first = from;
    if (chunkStart + from === 0) {
      first = bomBytes(chunk);
      this.start = first;
    }
    scanner.seen = this.#seen;
    const next = scanner.cut(chunk, first, wanted);
    this.#seen = scanner.seen;
    this.items += wanted - scanner.left;
    this.end = chunkStart + next;
    return next;
  }

  finish(size: number): void {
    if (this.#seen) this.items += 1;
    this.#seen = false;
    this.end = size;
  }
}
