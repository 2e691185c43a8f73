/**
 * Takes a failed batch apart: halves run on their own, one after the other, until the bad items stand alone. Pure: what runs
 * items, what is known from before and whose time it is are arguments.
 */
import type { ItemRange } from "../protocol/ledger.ts";

export interface Failure {
  readonly cause: string;
  /** One sentence. */
  readonly error: string;
  readonly traceback: string;
}

/** Items that ran together and succeeded. */
export interface RangeDone {
  readonly kind: "done";
  /** Managed rows, one for each item that is not `apart`; null: the handler returned nothing. */
  readonly rows: { readonly bytes: Buffer; readonly count: number } | null;
  /** Items of the range that are no JSON and were left out, counted in the batch. */
  readonly apart: readonly number[];
}

export interface RangeFailed extends Failure {
  readonly kind: "failed";
}

/** `interrupted`: the worker leaves, and nothing is known of these items. */
export type RangeAnswer = RangeDone | RangeFailed | { readonly kind: "interrupted" };

/** What a range came to for good: done, one bad item, or a group that nobody could take apart any more. */
export interface Decided {
  readonly range: ItemRange;
  readonly end: RangeDone | RangeFailed;
}

export interface IsolationParts {
  /** Items of the batch, > 1. */
  readonly items: number;
  /** How the batch as a whole failed; undefined: its workers died. */
  readonly whole: Failure | undefined;
  /** What was decided before this worker came. */
  readonly known: readonly Decided[];
  /** What workers died over. */
  readonly died: readonly ItemRange[];
  /** Runs some items together. Never called for more than one range at a time. */
  run(range: ItemRange): Promise<RangeAnswer>;
  /** A run has decided a range: worth keeping. */
  decided(range: Decided): void;
  /** Why no range may run any more; undefined: one more may. The failure of all that is undecided. */
  over(last: Failure | undefined): Failure | undefined;
}

export interface Isolation {
  /** In the order of the items; together they are all of the batch. */
  readonly decided: readonly Decided[];
  /** So many items did not run out of memory where more did, and nobody is to blame; undefined: no such thing was seen. */
  readonly fits: number | undefined;
}

const DIED: Failure = {
  cause: "worker_died",
  error: "two workers died while they ran this item, and nothing else ran beside it",
  traceback: "",
};

/**
 * Undefined when it was interrupted. Each bad item costs at most two runs a level, `2 * Math.ceil(Math.log2(items))`; that
 * is the whole price when no range fails that holds only good ones.
 */
export async function isolate(parts: IsolationParts): Promise<Isolation | undefined> {
  const { items } = parts;
  const decided: Decided[] = [];
  const outOfMemory: ItemRange[] = parts.whole?.cause === "out_of_memory" ? [[0, items]] : [];
  let last = parts.whole;
  const known = new KnownEnds(parts);
  const left: ItemRange[] = halves([0, items]);
  for (let range = left.pop(); range !== undefined; range = left.pop()) {
    const before = known.of(range);
    if (before === "failed") left.push(...halves(range));
    else if (before !== undefined) decided.push({ range, end: before });
    if (before !== undefined) continue;
    const over = parts.over(last);
    if (over !== undefined) {
      decided.push({ range, end: { kind: "failed", ...over } });
      continue;
    }
    const end = await parts.run(range);
    if (end.kind === "interrupted") return undefined;
    if (end.kind === "failed") last = end;
    if (end.kind === "failed" && end.cause === "out_of_memory") outOfMemory.push(range);
    if (end.kind === "failed" && size(range) > 1) {
      left.push(...halves(range));
      continue;
    }
    decided.push({ range, end });
    parts.decided({ range, end });
  }
  return { decided, fits: fitting(outOfMemory, decided) };
}

/** What ranges came to before this worker came. */
class KnownEnds {
  readonly #ends = new Map<string, RangeDone | RangeFailed | "failed">();

  constructor({ items, known, died }: IsolationParts) {
    for (const range of died) this.#note(items, range, size(range) === 1 ? { kind: "failed", ...DIED } : "failed");
    for (const { range, end } of known) this.#note(items, range, end);
  }

  /** "failed": it is known to fail as a whole, and is taken apart without another run. */
  of(range: ItemRange): RangeDone | RangeFailed | "failed" | undefined {
    return this.#ends.get(String(range));
  }

  /** What it is part of was taken apart, which happens only to what failed. */
  #note(items: number, range: ItemRange, end: RangeDone | RangeFailed | "failed"): void {
    for (let outer: ItemRange = [0, items]; String(outer) !== String(range);) {
      const inner = halves(outer).find((half) => contains(half, range));
      if (inner === undefined) return; // no range of this batch: a record that somebody damaged
      if (!this.#ends.has(String(outer))) this.#ends.set(String(outer), "failed");
      outer = inner;
    }
    if (end !== "failed" || !this.#ends.has(String(range))) this.#ends.set(String(range), end);
  }
}

/** The halves of a range, the first one on top of the stack. The same ones whoever asks, so that what was decided is found. */
export function halves([from, to]: ItemRange): ItemRange[] {
  const middle = from + Math.ceil((to - from) / 2);
  return [
    [middle, to],
    [from, middle],
  ];
}

/** The least number of items that ran well inside a range that had run out of memory, of ranges without a bad item. */
function fitting(outOfMemory: readonly ItemRange[], decided: readonly Decided[]): number | undefined {
  let least: number | undefined;
  for (const range of outOfMemory) {
    const inside = decided.filter((one) => contains(range, one.range));
    if (inside.length === 0 || inside.some(({ end }) => end.kind === "failed")) continue;
    const most = Math.max(...inside.map((one) => size(one.range)));
    least = Math.min(least ?? most, most);
  }
  return least;
}

function size([from, to]: ItemRange): number {
  return to - from;
}

function contains(outer: ItemRange, inner: ItemRange): boolean {
  return outer[0] <= inner[0] && inner[1] <= outer[1];
}
