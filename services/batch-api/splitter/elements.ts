/** The slow path: elements of one top-level array, and values written one after the other, pretty-printed or not. */
import { bomBytes, ValueScanner } from "../../protocol/json-scanner.ts";
import type { ValueShape } from "../../protocol/json-scanner.ts";
import type { Cutter } from "./cutter.ts";

/** A span runs from its first value's first byte to its last value's last byte. */
export class ElementCutter implements Cutter {
  readonly #scanner: ValueScanner;

  constructor(shape: ValueShape, resumed: boolean) {
    this.#scanner = new ValueScanner(shape, resumed);
  }

  get items(): number {
    return this.#scanner.values;
  }

  get start(): number {
    return this.#scanner.first;
  }

  get end(): number {
    return this.#scanner.last;
  }

  begin(): void {
    this.#scanner.begin();
  }

  take(chunk: Buffer, chunkStart: number, from: number, wanted: number): number {
    return this.#scanner.scan(chunk, chunkStart, chunkStart + from === 0 ? bomBytes(chunk) : from, wanted);
  }

  finish(size: number): void {
    this.#scanner.finish(size);
  }
}
