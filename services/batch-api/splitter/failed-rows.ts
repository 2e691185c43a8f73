/** The error rows of an ended job in input order, entered at any of them. */
import type { ObjectStore } from "../../backends/object-store.ts";
import type { ErrorRow, ManifestPart } from "../../protocol/jobs.ts";
import { DamagedObject, parseStoredLine } from "../../protocol/stored.ts";
import { ERROR_ROW } from "../../protocol/stored-kinds.ts";
import { readPieces } from "../jobs/row-ranges.ts";

/** Where a row begins. */
export interface RowPlace {
  /** Index into the manifest's error parts. */
  readonly part: number;
  readonly byte: number;
}

interface FailedRow {
  readonly index: number;
  readonly batch: number;
  readonly at: ErrorRow["at"];
}

const NEWLINE = 10;

export class FailedRows {
  /** Bytes of the rows that were passed. */
  passedBytes = 0;
  readonly #store: ObjectStore;
  readonly #parts: readonly ManifestPart[];
  /** Where the row of `#next` begins; with none, where the rows end. */
  #place: RowPlace;
  #next: { readonly row: FailedRow; readonly after: RowPlace } | undefined;
  #lines: AsyncGenerator<{ readonly line: Buffer; readonly part: number; readonly byte: number }> | undefined;

  constructor(store: ObjectStore, parts: readonly ManifestPart[], place: RowPlace) {
    this.#store = store;
    this.#parts = parts;
    this.#place = place;
  }

  /** Where the next row begins. */
  get place(): RowPlace {
    return this.#place;
  }

  /** The next row, which stays the next one; undefined behind the last one. Throws `DamagedObject`. */
  async peek(): Promise<FailedRow | undefined> {
    if (this.#next !== undefined) return this.#next.row;
    this.#lines ??= this.#read(this.#place);
    const found = await this.#lines.next();
    if (found.done === true) return undefined;
    const { line, part, byte } = found.value;
    const { key = "" } = this.#parts[part] ?? {};
    const { index, batch, at } = parseStoredLine<ErrorRow>(key, line.toString("utf8"), ERROR_ROW);
    this.#place = { part, byte };
    this.#next = { row: { index, batch, at }, after: { part, byte: byte + line.length + 1 } };
    return this.#next.row;
  }

  /** Passes the row that `peek` answered. */
  pass(): void {
    if (this.#next === undefined) return;
    this.passedBytes += this.#next.after.byte - this.#place.byte;
    this.#place = this.#next.after;
    this.#next = undefined;
  }

  async *#read(from: RowPlace) {
    for (let part = from.part; part < this.#parts.length; part++) {
      const { key = "", bytes = 0, rows = 0 } = this.#parts[part] ?? {};
      let byte = part === from.part ? from.byte : 0;
      const isWhole = byte === 0;
      let found = 0;
      let rest: Buffer[] = [];
      for await (const piece of readPieces(this.#store, { key, start: byte, end: bytes })) {
        let start = 0;
        for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, start)) {
          const line = Buffer.concat([...rest, piece.subarray(start, at)]);
          yield { line, part, byte };
          found += 1;
          byte += line.length + 1;
          rest = [];
          start = at + 1;
        }
        if (start < piece.length) rest.push(piece.subarray(start));
      }
      // what is no row would be an item that did not fail
      if (rest.length > 0) throw new DamagedObject(key, "ends inside a row");
      if (isWhole && found !== rows) throw new DamagedObject(key, `holds ${String(found)} rows, not ${String(rows)}`);
    }
  }
}
