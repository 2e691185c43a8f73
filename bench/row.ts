/** One line of the bench table: ours against a peer's, from interleaved rounds of one run. */
export interface BenchRow {
  /** The goal's name, such as G2c. */
  readonly id: string;
  readonly what: string;
  /** Median over the rounds, in `unit`. */
  readonly ours: number;
  readonly theirs: number;
  /** Median of the rounds' own ratios, ours / theirs. */
  readonly ratio: number;
  /** Such as `<= 1.05`. */
  readonly bar: string;
  readonly unit: string;
}
