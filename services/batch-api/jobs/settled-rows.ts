/** Where the rows of settled batches lie while a job runs, from the live ledgers. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { diedRows, errorRows, type AttemptErrors } from "../../protocol/errors.ts";
import type { ErrorRow, JobSpec } from "../../protocol/jobs.ts";
import { jobKeys, workerOfLedger } from "../../protocol/keys.ts";
import type { OutcomeLine, RowsAt } from "../../protocol/ledger.ts";
import { parseStoredLine } from "../../protocol/stored.ts";
import { ATTEMPT_ERRORS } from "../../protocol/stored-kinds.ts";
import { LedgerReader } from "../driver/ledger-reader.ts";
import { SplitReader } from "../driver/split-reader.ts";
import { linesOf, readPieces, type RowRange } from "./row-ranges.ts";

export type RowKind = "results" | "errors";

type Known = { readonly ledger: string; readonly rows: RowsAt | undefined };

/** Grows with `refresh`; batches that were taken are forgotten, so it holds what is settled out of order. */
export class SettledRows {
  /** The first batch not taken yet. */
  next = 0;
  readonly #store: ObjectStore;
  readonly #spec: JobSpec;
  readonly #kind: RowKind;
  readonly #splits: SplitReader;
  readonly #ledgers: LedgerReader;
  readonly #known = new Map<number, Known>();

  constructor(store: ObjectStore, spec: JobSpec, kind: RowKind) {
    const { api, job, attempts } = spec;
    this.#store = store;
    this.#spec = spec;
    this.#kind = kind;
    this.#splits = new SplitReader(store, api, job, spec.input.batch_size);
    this.#ledgers = new LedgerReader({
      store,
      api,
      job,
      attempts,
      itemsOf: (batch) => this.#splits.itemsOf(batch),
      onOutcome: (ledger, line, wins) => {
        if (wins) this.#hear(ledger, line);
      },
    });
  }

  async refresh(): Promise<void> {
    await this.#splits.refresh();
    await this.#ledgers.refreshLedgers();
    await this.#ledgers.refreshVerdicts();
  }

  /** The rows of the next settled batches, in order, up to the first that is not settled. */
  *take(): Generator<RowRange> {
    for (; this.#ledgers.fold.isSettled(this.next); this.next++) {
      const range = this.#rangeOf(this.next);
      this.#known.delete(this.next);
      if (range !== undefined) yield range;
    }
  }

  /** The error rows of the next settled batches, as their job's end will write them. */
  async *takeErrors(): AsyncGenerator<ErrorRow> {
    const { fold } = this.#ledgers;
    for (; fold.isSettled(this.next); this.next++) {
      const range = this.#rangeOf(this.next);
      this.#known.delete(this.next);
      if (fold.failedItems(this.next) === 0) continue;
      const attempts = Math.max(1, fold.failedAttempts(this.next));
      if (range === undefined) {
        const { pointer, firstItem } = await this.#splits.pointer(this.next);
        yield* diedRows(this.next, firstItem, pointer, attempts);
      } else {
        for await (const line of linesOf(readPieces(this.#store, range))) {
          yield* errorRows(parseStoredLine<AttemptErrors>(range.key, line, ATTEMPT_ERRORS), attempts);
        }
      }
    }
  }

  #rangeOf(batch: number): RowRange | undefined {
    const known = this.#known.get(batch);
    if (known?.rows === undefined) return undefined;
    const keys = jobKeys(this.#spec.api, this.#spec.job);
    const { part, start, end } = known.rows;
    return { key: keys[this.#kind](workerOfLedger(known.ledger), part), start, end };
  }

  /** Keeps the rows of an outcome that has just become its batch's winner. */
  #hear(ledger: string, line: OutcomeLine): void {
    if (line.batch < this.next) return;
    this.#known.set(line.batch, { ledger, rows: line[this.#kind === "results" ? "rows" : "errors"] });
  }
}
