import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys } from "../protocol/keys.ts";
import { encodeLine, LEDGER_FORMAT, type LedgerLine } from "../protocol/ledger.ts";
import { LIMITS } from "../protocol/limits.ts";

/** The only writer of one worker's ledger: lines collect in memory until they are taken and appended. */
export class LedgerWriter {
  readonly #store: ObjectStore;
  readonly #worker: string;
  readonly #keys: ReturnType<typeof jobKeys>;
  #part = 0;
  #offset = 0;
  #appends = 0;
  #lines: string[] = [];

  constructor(store: ObjectStore, api: string, job: string, worker: string) {
    this.#store = store;
    this.#worker = worker;
    this.#keys = jobKeys(api, job);
  }

  add(line: LedgerLine): void {
    this.#lines.push(encodeLine(line));
  }

  /** Takes out the lines added so far, for `append`. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** Appends lines that were taken, and further ones; durable when it resolves. Calls must not overlap. */
  async append(taken: readonly string[], further: readonly (LedgerLine | undefined)[] = []): Promise<void> {
    const lines = [...taken, ...further.flatMap((line) => (line === undefined ? [] : encodeLine(line)))];
    if (lines.length === 0) return;
    if (this.#offset === 0) lines.unshift(encodeLine({ t: "worker", format: LEDGER_FORMAT, worker: this.#worker }));
    const bytes = Buffer.from(lines.join(""));
    await this.#store.append(this.#keys.ledger(this.#worker, this.#part), bytes, this.#offset);
    this.#offset += bytes.length;
    this.#appends += 1;
    if (this.#offset < LIMITS.partBytesMax && this.#appends < (this.#store.appendsMax ?? Infinity)) return;
    this.#part += 1;
    this.#offset = 0;
    this.#appends = 0;
  }
}
