import { workerOfLedger } from "../../protocol/keys.ts";
import type { OutcomeLine, RowsAt } from "../../protocol/ledger.ts";

/** A results or errors part of a worker. */
export interface WorkerPart {
  readonly worker: string;
  readonly part: number;
}

export interface RowsRange {
  /** Index of the part. */
  readonly part: number;
  readonly start: number;
  readonly end: number;
  readonly rows: number;
}

/** Where the winning attempts' rows lie, noted while the cut is read. Some 24 bytes a batch. */
export class WinningRows {
  readonly parts: WorkerPart[] = [];
  readonly #partIndex = new Map<string, number>();
  readonly #rowsOf: (line: OutcomeLine) => RowsAt | undefined;
  #part = new Int32Array(1024).fill(-1);
  #start = new Float64Array(1024);
  #end = new Float64Array(1024);
  #rows = new Int32Array(1024);

  /** `rowsOf`: which rows of an outcome are meant, the results or the errors. */
  constructor(rowsOf: (line: OutcomeLine) => RowsAt | undefined) {
    this.#rowsOf = rowsOf;
  }

  /** Takes an outcome that has just become its batch's winner. */
  note(ledger: string, line: OutcomeLine): void {
    const { batch } = line;
    if (batch >= this.#part.length) this.#grow(batch);
    const rows = this.#rowsOf(line);
    this.#part[batch] = rows === undefined ? -1 : this.#indexOf(workerOfLedger(ledger), rows.part);
    this.#start[batch] = rows?.start ?? 0;
    this.#end[batch] = rows?.end ?? 0;
    this.#rows[batch] = rows?.rows ?? 0;
  }

  /** The range of a batch, with the index of its part in `parts`; undefined when its winner left no rows. */
  of(batch: number): RowsRange | undefined {
    const part = this.#part[batch] ?? -1;
    if (part < 0) return undefined;
    return {
      part,
      start: this.#start[batch] ?? 0,
      end: this.#end[batch] ?? 0,
      rows: this.#rows[batch] ?? 0,
    };
  }

  /** For each part, the batches whose winners lie in it, in the order of their bytes. */
  byPart(): number[][] {
    const byPart: number[][] = this.parts.map(() => []);
    for (let batch = 0; batch < this.#part.length; batch += 1) byPart[this.#part[batch] ?? -1]?.push(batch);
    for (const batches of byPart) batches.sort((a, b) => (this.#start[a] ?? 0) - (this.#start[b] ?? 0));
    return byPart;
  }

  /** Says where the batch's rows are in the end: part `part` of the manifest, from byte `start` on. Call once a batch. */
  place(batch: number, part: number, start: number): void {
    this.#end[batch] = start + (this.#end[batch] ?? 0) - (this.#start[batch] ?? 0);
    this.#start[batch] = start;
    this.#part[batch] = part;
  }

  #indexOf(worker: string, part: number): number {
    const key = `${worker}-${String(part)}`;
    const known = this.#partIndex.get(key);
    if (known !== undefined) return known;
    this.parts.push({ worker, part });
    this.#partIndex.set(key, this.parts.length - 1);
    return this.parts.length - 1;
  }

  #grow(batch: number): void {
    const length = Math.max(batch + 1, this.#part.length * 2);
    const part = new Int32Array(length).fill(-1);
    part.set(this.#part);
    this.#part = part;
    const start = new Float64Array(length);
    start.set(this.#start);
    this.#start = start;
    const end = new Float64Array(length);
    end.set(this.#end);
    this.#end = end;
    const rows = new Int32Array(length);
    rows.set(this.#rows);
    this.#rows = rows;
  }
}
