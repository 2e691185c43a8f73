/** One line of the bench table: ours against a peer's, from interleaved rounds of one run. */
export interface BenchRow {
  /** The goal's name, such as G2c. */
  readonly id: string;
  readonly what: string;
  /** Median over the rounds, in `unit`. */
  readonly ours: number;
  readonly theirs: number;
  /** Ratio of the medians, ours / theirs. */
  readonly ratio: number;
  /** The smallest and the largest ratio of one round. */
  readonly ratioMin: number;
  readonly ratioMax: number;
  readonly rounds: number;
  /** Such as `<= 1.05`. */
  readonly bar: string;
  readonly unit: string;
}

/** Whether a ratio keeps its bar. */
export function keepsBar({ ratio, bar }: Pick<BenchRow, "ratio" | "bar">): boolean {
  const [sign, limit] = bar.split(" ");
  return sign === "<=" ? ratio <= Number(limit) : ratio >= Number(limit);
}
