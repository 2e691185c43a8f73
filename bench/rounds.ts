/** Interleaved rounds of ours and a peer's: on a noisy machine only ratios within a round mean anything. */
import type { BenchRow } from "./row.ts";

export type Comparison = Pick<BenchRow, "id" | "what" | "bar" | "unit"> & {
  readonly rounds: number;
  /** Each answers one round's figure in `unit`. */
  readonly ours: () => Promise<number>;
  readonly theirs: () => Promise<number>;
};

/** Runs theirs and ours by turns, the peer first, and sums the rounds up. */
export async function compare({ rounds, ours, theirs, ...row }: Comparison): Promise<BenchRow> {
  const pairs: { readonly ours: number; readonly theirs: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const peer = await theirs();
    pairs.push({ theirs: peer, ours: await ours() });
  }
  return rowOf(row, pairs);
}

/** A row from figures that were measured round by round. */
export function rowOf(
  row: Pick<BenchRow, "id" | "what" | "bar" | "unit">,
  pairs: readonly { readonly ours: number; readonly theirs: number }[],
): BenchRow {
  const ratios = pairs.map(({ ours, theirs }) => ours / theirs);
  const ours = median(pairs.map((pair) => pair.ours));
  const theirs = median(pairs.map((pair) => pair.theirs));
  return {
    ...row,
    ours,
    theirs,
    ratio: ours / theirs,
    ratioMin: Math.min(...ratios),
    ratioMax: Math.max(...ratios),
    rounds: pairs.length,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}
