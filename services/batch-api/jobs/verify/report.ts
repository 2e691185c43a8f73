/** What `millrace verify` says. */

/** One thing that is not as it must be. */
export interface Finding {
  /** What was found where, in a sentence. */
  readonly problem: string;
  /** What to do about it. */
  readonly mend: string;
}

export interface CheckResult {
  readonly name: string;
  /** Invariants of docs/reliability that it shows, such as I4. */
  readonly invariants: readonly string[];
  /**
   * not_yet: the job has not come so far that its objects can show it, or those cannot be read · removed: they are not kept any more,
   * as the retention settings say.
   */
  readonly result: "holds" | "broken" | "not_yet" | "removed";
  /** At most FINDINGS_MAX of them. */
  readonly findings: readonly Finding[];
}

export interface VerifyReport {
  readonly api: string;
  readonly job: string;
  /** "unknown" when it cannot be read. */
  readonly state: string;
  readonly final: boolean;
  /** True when nothing is broken. */
  readonly sound: boolean;
  readonly batches: number;
  readonly items: number;
  readonly checks: readonly CheckResult[];
  /** Since when and why results are not kept any more, in words; absent: they are. */
  readonly results_removed?: string;
}

export const FINDINGS_MAX = 20;
