/**
 * Counts, from ledger lines and verdicts and nothing else. The reducer is commutative and idempotent: lines may come in any
 * order, twice, from the live ledgers or from the cut, and give the same counts.
 *
 * Of a batch's outcomes one wins: all items ok beats some, beats none, then the lower attempt, then the smaller ledger key.
 * A batch is settled when its winner is all or some, or when `attempts` distinct attempts failed. Settled is monotone.
 */
import type { LedgerLine, OutcomeLine, OutcomeResult, VerdictLine } from "./ledger.ts";

const RANK = { none: 1, some: 2, all: 3 } as const satisfies Record<OutcomeResult, number>;

export interface FoldCounts {
  /** Settled batches by their winner: all items ok. */
  batchesSucceeded: number;
  /** Settled batches in which an item failed. */
  batchesFailed: number;
  /** Items of settled batches. */
  itemsSucceeded: number;
  itemsFailed: number;
  /** Distinct failed attempts. */
  attemptsFailed: number;
  /** Seconds of the winning attempts that were not `none`. */
  handlerSeconds: number;
}

export interface Winner {
  readonly result: OutcomeResult;
  readonly attempt: number;
  readonly ledger: string;
}

/** Room for so many batches at first, as most jobs have few; it doubles. */
const FIRST_BATCHES = 16;

/** Some 22 bytes a batch. */
export class LedgerFold {
  readonly counts: FoldCounts = {
    batchesSucceeded: 0,
    batchesFailed: 0,
    itemsSucceeded: 0,
    itemsFailed: 0,
    attemptsFailed: 0,
    handlerSeconds: 0,
  };
  readonly #attempts: number;
  readonly #itemsOf: (batch: number) => number;
  readonly #ledgers: string[] = [];
  readonly #ledgerIndex = new Map<string, number>();
  #rank = new Uint8Array(FIRST_BATCHES);
  #attempt = new Uint8Array(FIRST_BATCHES);
  #failedAttempts = new Uint32Array(FIRST_BATCHES);
  #ledger = new Int32Array(FIRST_BATCHES);
  #itemsFailed = new Int32Array(FIRST_BATCHES);
  #seconds = new Float32Array(FIRST_BATCHES);
  #settled = new Uint8Array(FIRST_BATCHES);

  /** `itemsOf`: items of a batch, asked only for batches that failed as a whole by verdicts alone. */
  constructor(attempts: number, itemsOf: (batch: number) => number) {
    this.#attempts = attempts;
    this.#itemsOf = itemsOf;
  }

  /** Takes in one line of the ledger object `key`; lines that are no outcomes change nothing. */
  addLine(key: string, line: LedgerLine): void {
    if (line.t === "outcome") this.addOutcome(key, line);
  }

  /** Answers whether the line is its batch's winner now. Of equal lines in one ledger object the first one is. */
  addOutcome(key: string, line: OutcomeLine): boolean {
    const { batch, attempt } = line;
    this.#grow(batch);
    const rank = RANK[line.result];
    const bit = 1 << (attempt - 1);
    const before = this.#failedAttempts[batch] ?? 0;
    const known = this.#rank[batch] ?? 0;
    const beats = rank > known || (rank === known && this.#comesBefore(batch, attempt, key));
    const failsAnew = rank === RANK.none && (before & bit) === 0;
    if (!beats && !failsAnew) return false;
    this.#uncount(batch);
    if (failsAnew) {
      this.#failedAttempts[batch] = before | bit;
      this.counts.attemptsFailed += 1;
    }
    if (beats) {
      this.#rank[batch] = rank;
      this.#attempt[batch] = attempt;
      this.#ledger[batch] = this.#indexOfLedger(key);
      this.#itemsFailed[batch] = line.failed;
      this.#items[batch] = line.items;
      this.#seconds[batch] = line.seconds;
    }
    this.#count(batch);
    return beats;
  }

  /** A verdict over some items of a batch is no failed attempt: it only says where to go on. */
  addVerdict(line: VerdictLine): void {
    const { batch, attempt } = line;
    if (line.range !== undefined) return;
    this.#grow(batch);
    const bit = 1 << (attempt - 1);
    const before = this.#failedAttempts[batch] ?? 0;
    if ((before & bit) !== 0) return;
    this.#uncount(batch);
    this.#failedAttempts[batch] = before | bit;
    this.counts.attemptsFailed += 1;
    this.#count(batch);
  }

  isSettled(batch: number): boolean {
    return this.#settled[batch] === 1;
  }

  /** Settled batches. */
  get settled(): number {
    return this.counts.batchesSucceeded + this.counts.batchesFailed;
  }

  attemptFailed(batch: number, attempt: number): boolean {
    return ((this.#failedAttempts[batch] ?? 0) & (1 << (attempt - 1))) !== 0;
  }

  /** Distinct attempts of it that failed. */
  failedAttempts(batch: number): number {
    return popcount(this.#failedAttempts[batch] ?? 0);
  }

  /** The attempt to send next: one more than the highest that failed. */
  nextAttempt(batch: number): number {
    return 33 - Math.clz32(this.#failedAttempts[batch] ?? 0);
  }

  /** Undefined for a batch without an outcome. */
  winner(batch: number): Winner | undefined {
    const rank = this.#rank[batch] ?? 0;
    const ledger = this.#ledgers[this.#ledger[batch] ?? -1];
    if (rank === 0 || ledger === undefined) return undefined;
    const result = rank === RANK.all ? "all" : rank === RANK.some ? "some" : "none";
    return { result, attempt: this.#attempt[batch] ?? 0, ledger };
  }

  /** Failed items of a settled batch's winner; all its items when it failed by verdicts. */
  failedItems(batch: number): number {
    return (this.#rank[batch] ?? 0) >= RANK.some ? (this.#itemsFailed[batch] ?? 0) : this.#itemsIn(batch);
  }

  #items = new Int32Array(FIRST_BATCHES);

  #itemsIn(batch: number): number {
    return (this.#rank[batch] ?? 0) === 0 ? this.#itemsOf(batch) : (this.#items[batch] ?? 0);
  }

  #comesBefore(batch: number, attempt: number, key: string): boolean {
    const known = this.#attempt[batch] ?? 0;
    if (attempt !== known) return attempt < known;
    return key < (this.#ledgers[this.#ledger[batch] ?? -1] ?? "");
  }

  #count(batch: number): void {
    this.#account(batch, 1);
  }

  #uncount(batch: number): void {
    if (this.#settled[batch] === 1) this.#account(batch, -1);
  }

  /** Adds (or takes back) a settled batch's share of the counts. */
  #account(batch: number, sign: 1 | -1): void {
    const rank = this.#rank[batch] ?? 0;
    if (rank < RANK.some && popcount(this.#failedAttempts[batch] ?? 0) < this.#attempts) return;
    this.#settled[batch] = 1;
    const items = this.#itemsIn(batch);
    const failed = rank >= RANK.some ? (this.#itemsFailed[batch] ?? 0) : items;
    if (rank === RANK.all) this.counts.batchesSucceeded += sign;
    else this.counts.batchesFailed += sign;
    this.counts.itemsSucceeded += sign * (items - failed);
    this.counts.itemsFailed += sign * failed;
    if (rank >= RANK.some) this.counts.handlerSeconds += sign * (this.#seconds[batch] ?? 0);
  }

  #indexOfLedger(key: string): number {
    const known = this.#ledgerIndex.get(key);
    if (known !== undefined) return known;
    this.#ledgers.push(key);
    this.#ledgerIndex.set(key, this.#ledgers.length - 1);
    return this.#ledgers.length - 1;
  }

  #grow(batch: number): void {
    if (batch < this.#rank.length) return;
    const length = Math.max(batch + 1, this.#rank.length * 2);
    this.#rank = grown(this.#rank, new Uint8Array(length));
    this.#attempt = grown(this.#attempt, new Uint8Array(length));
    this.#failedAttempts = grown(this.#failedAttempts, new Uint32Array(length));
    this.#ledger = grown(this.#ledger, new Int32Array(length));
    this.#itemsFailed = grown(this.#itemsFailed, new Int32Array(length));
    this.#items = grown(this.#items, new Int32Array(length));
    this.#seconds = grown(this.#seconds, new Float32Array(length));
    this.#settled = grown(this.#settled, new Uint8Array(length));
  }
}

function grown<A extends Uint8Array | Uint32Array | Int32Array | Float32Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

function popcount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
