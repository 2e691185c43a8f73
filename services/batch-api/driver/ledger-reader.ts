import type { ObjectStore } from "../../backends/object-store.ts";
import { judgementName } from "../../protocol/deaths.ts";
import { LedgerFold } from "../../protocol/fold.ts";
import type { Cut } from "../../protocol/jobs.ts";
import { jobKeys, workerOfLedger } from "../../protocol/keys.ts";
import type { LedgerLine, OutcomeLine, VerdictLine } from "../../protocol/ledger.ts";
import { parseLines } from "../../protocol/ledger.parse.ts";
import { countedBytesGone } from "./counted-bytes.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { addLine, newWorkerFacts, type WorkerFacts } from "../../protocol/worker-facts.ts";

/** Bytes of one ledger that one read takes in, so that a long ledger does not fill the memory. */
const READ_BYTES = 8 * 1024 * 1024;

export interface LedgerReaderOptions {
  readonly store: ObjectStore;
  readonly api: string;
  readonly job: string;
  /** Failed attempts that settle a batch. */
  readonly attempts: number;
  readonly itemsOf: (batch: number) => number;
  /** Batches from this one on do not exist: they stand beyond the end of a split that ended early. Default: all count. */
  readonly batchesEnd?: number;
  /** Read exactly these bytes; without it, whatever is there. */
  readonly cut?: Cut;
  /** Hears each outcome once, in no particular order; `wins`: it is its batch's winner now. */
  readonly onOutcome?: (ledger: string, line: OutcomeLine, wins: boolean) => void;
  /** Called after each read. */
  readonly onStep?: () => void;
}

/** Reads a job's ledgers and verdicts as they grow, folds them, and keeps what each worker's ledger says of it. */
export class LedgerReader {
  readonly fold: LedgerFold;
  readonly workers = new Map<string, WorkerFacts>();
  /** Verdicts of each batch. */
  readonly verdicts = new Map<number, number>();
  /** Those over some items of a batch, as `judgementName` says them. */
  readonly judged = new Set<string>();
  /** Items that fit into the memory at a time, where more did not; the least that an outcome said. */
  fits: number | undefined;
  readonly #options: LedgerReaderOptions;
  /** Bytes of complete lines taken in, by key. */
  readonly #consumed = new Map<string, number>();

  constructor(options: LedgerReaderOptions) {
    this.#options = options;
    this.fold = new LedgerFold(options.attempts, options.itemsOf);
  }

  /** Takes in all that has grown. Answers the workers whose ledgers did. */
  async refreshLedgers(): Promise<ReadonlySet<string>> {
    const { ledgers } = jobKeys(this.#options.api, this.#options.job);
    const grown = new Set<string>();
    const there = new Set<string>();
    for await (const { key, sizeBytes } of this.#objects(ledgers, this.#options.cut?.ledgers)) {
      there.add(key);
      const worker = workerOfLedger(key);
      const facts = this.workers.get(worker) ?? newWorkerFacts(worker);
      this.workers.set(worker, facts);
      const took = await this.#read<LedgerLine>(key, sizeBytes, (line) => {
        this.#take(key, facts, line);
      });
      if (took) grown.add(worker);
    }
    for (const key of this.#consumed.keys())
      if (key.startsWith(ledgers) && !there.has(key)) throw countedBytesGone(key);
    return grown;
  }

  /** Verdicts are read at a driver's start; its own later ones come through `addVerdict`. */
  async refreshVerdicts(): Promise<void> {
    const { verdicts } = jobKeys(this.#options.api, this.#options.job);
    for await (const { key, sizeBytes } of this.#objects(verdicts, this.#options.cut?.verdicts)) {
      await this.#read<VerdictLine>(key, sizeBytes, (line) => {
        this.addVerdict(line);
      });
    }
  }

  addVerdict(line: VerdictLine): void {
    if (line.batch >= (this.#options.batchesEnd ?? Infinity)) return;
    if (this.fold.attemptFailed(line.batch, line.attempt)) return;
    if (line.range !== undefined) this.judged.add(judgementName({ ...line, range: line.range }));
    this.fold.addVerdict(line);
    this.verdicts.set(line.batch, (this.verdicts.get(line.batch) ?? 0) + 1);
  }

  /** Bytes of whole lines taken in so far, by key under `prefix`. */
  consumed(prefix: string): Record<string, number> {
    return Object.fromEntries([...this.#consumed].filter(([key]) => key.startsWith(prefix)));
  }

  #take(key: string, facts: WorkerFacts, line: LedgerLine): void {
    addLine(facts, line);
    if (line.t !== "outcome" || line.batch >= (this.#options.batchesEnd ?? Infinity)) return;
    if (line.fits !== undefined) this.fits = Math.min(this.fits ?? Infinity, line.fits);
    const wins = this.fold.addOutcome(key, line);
    this.#options.onOutcome?.(key, line, wins);
  }

  async *#objects(prefix: string, cut: Readonly<Record<string, number>> | undefined) {
    if (cut !== undefined) {
      for (const key of Object.keys(cut).sort()) yield { key, sizeBytes: cut[key] ?? 0 };
      return;
    }
    let after: string | undefined;
    do {
      const page = await this.#options.store.list(prefix, after === undefined ? {} : { after });
      yield* page.entries;
      after = page.next;
    } while (after !== undefined);
  }

  async #read<Line extends LedgerLine | VerdictLine>(
    key: string,
    sizeBytes: number,
    take: (line: Line) => void,
  ): Promise<boolean> {
    let start = this.#consumed.get(key) ?? 0;
    let readBytes = READ_BYTES;
    const first = start;
    if (sizeBytes < start) throw countedBytesGone(key);
    while (start < sizeBytes) {
      const end = Math.min(sizeBytes, start + readBytes);
      const found = await this.#options.store.get(key, { start, end });
      this.#options.onStep?.();
      if (found === undefined) break; // removed by the janitor since it was listed
      const { lines, consumed } = parseLines<Line>(found.bytes, key);
      for (const line of lines) take(line);
      start += consumed;
      this.#consumed.set(key, start);
      if (consumed === 0 && end === sizeBytes) break; // a torn last line
      if (consumed === 0) readBytes *= 2; // one line longer than a read
    }
    if (this.#options.cut !== undefined && start < sizeBytes) {
      throw new DamagedObject(key, `lacks lines up to byte ${String(sizeBytes)}, which the cut counts`);
    }
    return start > first;
  }
}
