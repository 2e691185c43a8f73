/** Which items of its family's root the items of a retry are: runs of items that follow each other there. */
import type { SplitFile } from "./pointers.ts";

export interface OriginRun {
  /** Index in the root of the first one. */
  readonly first: number;
  readonly items: number;
}

/** Appends a run to a flat list of them; one that goes on where the last one ends makes that longer. */
export function addOrigin(flat: number[], { first, items }: OriginRun): void {
  const last = flat.length - 2;
  const [lastFirst = 0, lastItems = 0] = flat.slice(-2);
  if (last >= 0 && lastFirst + lastItems === first) flat[last + 1] = lastItems + items;
  else flat.push(first, items);
}

/** Looks up the origins of items of one split file. Of a job that is no retry every item is its own origin. */
export class Origins {
  readonly #flat: readonly number[] | undefined;
  /** Of each run: its first item's index in the job. */
  readonly #starts: Float64Array;

  constructor({ origins, first_item: first }: Pick<SplitFile, "origins" | "first_item">) {
    this.#flat = origins;
    this.#starts = new Float64Array((origins?.length ?? 0) / 2);
    let next = first;
    for (let run = 0; run < this.#starts.length; run++) {
      this.#starts[run] = next;
      next += origins?.[2 * run + 1] ?? 0;
    }
  }

  /** Where `items` items from `item` on, an index in the job, come from. Throws when the split file does not hold them. */
  *of(item: number, items: number): Generator<OriginRun> {
    if (this.#flat === undefined) {
      yield { first: item, items };
      return;
    }
    let run = this.#runOf(item);
    for (let from = item, left = items; left > 0; run++) {
      const [first, count] = [this.#flat[2 * run], this.#flat[2 * run + 1]];
      if (first === undefined || count === undefined) throw new RangeError(`item ${String(from)} has no origin`);
      const offset = from - (this.#starts[run] ?? 0);
      const taken = Math.min(left, count - offset);
      yield { first: first + offset, items: taken };
      from += taken;
      left -= taken;
    }
  }

  /** The last run that begins at or before an item. */
  #runOf(item: number): number {
    let [low, high] = [0, this.#starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= item) low = middle;
      else high = middle;
    }
    return low;
  }
}
