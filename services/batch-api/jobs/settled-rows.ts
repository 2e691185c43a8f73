/** Where the rows of settled batches lie while a job runs, from the live ledgers. */
import type { ObjectStore } from "../../backends/object-store.ts";
import type { JobSpec } from "../../protocol/jobs.ts";
import { jobKeys, workerOfLedger } from "../../protocol/keys.ts";
import type { OutcomeLine, RowsAt } from "../../protocol/ledger.ts";
import { LedgerReader } from "../driver/ledger-reader.ts";
import { SplitReader } from "../driver/split-reader.ts";
import type { RowRange } from "./row-ranges.ts";

export type RowKind = "results" | "errors";

type Known = { readonly ledger: string; readonly attempt: number; readonly rows: RowsAt | undefined };

/** Grows with `refresh`; batches that were taken are forgotten, so it holds what is settled out of order. */
export class SettledRows {
  /** The first batch not taken yet. */
  next = 0;
  readonly #spec: JobSpec;
  readonly #kind: RowKind;
  readonly #splits: SplitReader;
  readonly #ledgers: LedgerReader;
  readonly #known = new Map<number, Known>();

  constructor(store: ObjectStore, spec: JobSpec, kind: RowKind) {
    const { api, job, attempts } = spec;
    this.#spec = spec;
    this.#kind = kind;
    this.#splits = new SplitReader(store, api, job, spec.input.batch_size);
    this.#ledgers = new LedgerReader({
      store,
      api,
      job,
      attempts,
      itemsOf: (batch) => this.#splits.itemsOf(batch),
      onOutcome: (ledger, line) => {
        this.#hear(ledger, line);
      },
    });
  }

  async refresh(): Promise<void> {
    await this.#splits.refresh();
    await this.#ledgers.refreshLedgers();
    await this.#ledgers.refreshVerdicts();
  }

  /**
   * The rows of the next settled batches, in order, up to the first that is not settled. A batch that failed by deaths alone
   * left no rows; with `waitForVerdicts` it ends the prefix as well, because its error rows are written at the job's end.
   */
  *take(waitForVerdicts: boolean): Generator<RowRange> {
    const { fold } = this.#ledgers;
    for (; fold.isSettled(this.next); this.next++) {
      const known = this.#known.get(this.next);
      if (waitForVerdicts && fold.failedItems(this.next) > 0 && known?.rows === undefined) return;
      this.#known.delete(this.next);
      if (known?.rows === undefined) continue;
      const keys = jobKeys(this.#spec.api, this.#spec.job);
      const key = keys[this.#kind](workerOfLedger(known.ledger), known.rows.part);
      yield { key, start: known.rows.start, end: known.rows.end };
    }
  }

  /** Keeps the rows of the outcome that wins; of equal ones in one ledger the first. */
  #hear(ledger: string, line: OutcomeLine): void {
    if (line.batch < this.next) return;
    const winner = this.#ledgers.fold.winner(line.batch);
    if (winner?.ledger !== ledger || winner.attempt !== line.attempt || winner.result !== line.result) return;
    const known = this.#known.get(line.batch);
    if (known?.ledger === ledger && known.attempt === line.attempt) return;
    this.#known.set(line.batch, {
      ledger,
      attempt: line.attempt,
      rows: line[this.#kind === "results" ? "rows" : "errors"],
    });
  }
}
