import type { JobFacts } from "./facts.ts";
import type { Finding } from "./report.ts";

/** One row of the table of checks. */
export interface Check {
  readonly name: string;
  readonly invariants: readonly string[];
  /** Whether the job has come so far; default: always. */
  readonly when?: (facts: JobFacts) => boolean;
  /** It looks at rows, which retention removes before the record. */
  readonly ofRows?: true;
  readonly run: (facts: JobFacts) => Iterable<Finding> | AsyncIterable<Finding>;
}
