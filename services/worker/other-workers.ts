import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys, workerOfLedger } from "../protocol/keys.ts";
import type { LedgerLine } from "../protocol/ledger.ts";
import { parseLines } from "../protocol/ledger.parse.ts";
import type { WorkerIdentity } from "./context.ts";
import type { OthersSeen } from "./sickness.ts";

/** Bytes of each ledger of another worker, by key; `whole`: of all that there are. */
export interface LedgerSizes {
  readonly bytes: ReadonlyMap<string, number>;
  readonly whole: boolean;
}

/** Pages of the listing that are read: neighbours by name stand for all where there are more. */
const PAGES_MAX = 3;
/** Ledgers that are read at a look, and the newest bytes of each. */
const LEDGERS_READ_MAX = 16;
const LEDGER_BYTES_MAX = 64 * 1024;

/** How the other workers of a job do, by the ledgers that they write. Asked in doubt alone: each call costs requests. */
export class OtherWorkers {
  readonly #store: ObjectStore;
  readonly #ledgers: string;
  readonly #own: string;

  constructor(store: ObjectStore, { api, job, name }: WorkerIdentity) {
    this.#store = store;
    this.#ledgers = jobKeys(api, job).ledgers;
    this.#own = name;
  }

  async sizes(): Promise<LedgerSizes> {
    const sizes = new Map<string, number>();
    let after: string | undefined = `${this.#ledgers}${this.#own}`;
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const page = await this.#store.list(this.#ledgers, after === undefined ? {} : { after });
      for (const { key, sizeBytes } of page.entries) if (workerOfLedger(key) !== this.#own) sizes.set(key, sizeBytes);
      // From our own name to the last one, then from the first one on.
      if (page.next === undefined && after === undefined) return { bytes: sizes, whole: true };
      after = page.next;
    }
    return { bytes: sizes, whole: false };
  }

  /** What was written between two readings of the sizes. */
  async wroteBetween(before: LedgerSizes, now: LedgerSizes): Promise<OthersSeen> {
    // Where not all were listed, one that was not there before need not be new.
    const from = (key: string) => before.bytes.get(key) ?? (before.whole ? 0 : Infinity);
    const grown = [...now.bytes].filter(([key, bytes]) => bytes > from(key));
    const step = Math.max(1, Math.ceil(grown.length / LEDGERS_READ_MAX));
    let succeeded = 0;
    const failed = new Set<string>();
    for (const [key, bytes] of grown.filter((_, at) => at % step === 0)) {
      for (const line of await this.#lines(key, Math.max(from(key), bytes - LEDGER_BYTES_MAX), bytes)) {
        if (line.t === "outcome" && line.failed < line.items) succeeded += 1;
        else if (line.t === "outcome" || line.t === "doubted") failed.add(`${key} ${String(line.batch)} ${String(line.attempt)}`); // prettier-ignore
      }
    }
    return { succeeded, failed: failed.size, wrote: grown.length > 0 };
  }

  async #lines(key: string, from: number, end: number): Promise<readonly LedgerLine[]> {
    const start = Math.max(0, from - 1);
    const bytes = (await this.#store.get(key, { start, end }))?.bytes ?? Buffer.alloc(0);
    // A size may have been read in the middle of a line.
    return parseLines<LedgerLine>(from === 0 ? bytes : bytes.subarray(bytes.indexOf(10) + 1)).lines;
  }
}
