import { createHash, type Hash } from "node:crypto";
import type { ObjectStore } from "../backends/object-store.ts";
import type { RowsAt, SealedLine } from "../protocol/ledger.ts";
import { LIMITS } from "../protocol/limits.ts";

/** The only writer of one worker's results (or errors): rows collect in memory until `flush`; full parts are sealed. */
export class PartWriter {
  readonly #store: ObjectStore;
  readonly #of: SealedLine["of"];
  readonly #keyOf: (part: number) => string;
  #part = 0;
  /** Bytes of this part that were handed in, flushed or not. */
  #bytes = 0;
  #rows = 0;
  #flushed = 0;
  #appends = 0;
  #hash: Hash = createHash("sha256");
  #pieces: Buffer[] = [];

  constructor(store: ObjectStore, of: SealedLine["of"], keyOf: (part: number) => string) {
    this.#store = store;
    this.#of = of;
    this.#keyOf = keyOf;
  }

  /** Takes whole rows, each with its newline; answers where they will lie once flushed. */
  add(bytes: Buffer, rows: number): RowsAt {
    const start = this.#bytes;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    this.#rows += rows;
    return { part: this.#part, start, end: this.#bytes, rows };
  }

  /** All rows added before the call are durable when it resolves; answers the sealed line of a full part. Calls must not overlap. */
  async flush(): Promise<SealedLine | undefined> {
    const key = this.#keyOf(this.#part);
    const pieces = this.#pieces;
    const offset = this.#flushed;
    if (pieces.length > 0) this.#appends += 1;
    const full = this.#bytes >= LIMITS.partBytesMax || this.#appends >= (this.#store.appendsMax ?? Infinity);
    const sealed = { part: this.#part, bytes: this.#bytes, rows: this.#rows };
    this.#pieces = [];
    this.#flushed = this.#bytes;
    const hash = this.#hash;
    if (full) this.#next();
    if (pieces.length > 0) {
      const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
      hash.update(bytes);
      await this.#store.append(key, bytes, offset);
    }
    if (!full) return undefined;
    return { t: "sealed", of: this.#of, ...sealed, sha256: hash.digest("hex") };
  }

  #next(): void {
    this.#part += 1;
    this.#bytes = 0;
    this.#rows = 0;
    this.#flushed = 0;
    this.#appends = 0;
    this.#hash = createHash("sha256");
  }
}
