/**
 * How long what a job leaves behind is kept, counted from its end by the store's clock. First its results go (rows, error
 * rows, their index), later its record (spec, state, counts, ledgers, input). Nobody keeps a record shorter than its results.
 */
import type { JOB_FORMAT } from "./jobs.ts";

/** Days; null: for ever. */
export interface Retention {
  readonly resultsDays: number | null;
  readonly recordsDays: number | null;
}

export const KEEP_ALL: Retention = { resultsDays: null, recordsDays: null };

/**
 * In a cluster. Longer than the 30 days for which hosted services keep results, because the bucket is its owner's and nobody
 * expects that a job of last month is gone; an end all the same, because nobody looks at a bucket until its bill comes.
 */
export const RETENTION_DEFAULTS = { resultsDays: 90, recordsDays: 365 } as const;

export const RETENTION_DAYS_MAX = 3_650;

/** What stands for no end, where days are written as text. */
export const FOREVER = "forever";

/** Results that nobody asked to keep are kept no longer than their record. */
export function retentionOf(asked: Partial<Retention>, defaults: Retention): Retention {
  const recordsDays = asked.recordsDays === undefined ? defaults.recordsDays : asked.recordsDays;
  if (asked.resultsDays !== undefined) return { resultsDays: asked.resultsDays, recordsDays };
  const { resultsDays } = defaults;
  if (recordsDays === null || (resultsDays !== null && resultsDays <= recordsDays)) return { resultsDays, recordsDays };
  return { resultsDays: recordsDays, recordsDays };
}

/** Why both cannot be: a sentence that begins with what asks for results; undefined when they can. */
export function retentionFault(
  { resultsDays, recordsDays }: Retention,
  names: { readonly results: string; readonly records: string },
): string | undefined {
  if (recordsDays === null || (resultsDays !== null && resultsDays <= recordsDays)) return undefined;
  const results = resultsDays === null ? FOREVER : String(resultsDays);
  return `${names.results} is ${results}, longer than the ${String(recordsDays)} days of ${names.records}, with which results go; keep records as long`;
}

export const RETENTION_STATES = ["announced", "kept", "removing", "removed", "ending"] as const;

/** `jobs/<job>/retention.json`: that its results are handed out no more. Compare-and-swapped. */
export interface RetentionRecord {
  readonly format: typeof JOB_FORMAT;
  /**
   * announced: they still lie there, and may be taken back · kept: they were taken back (a retry needs them, or the setting was
   * raised) · removing: for good, their objects go · removed · ending: the whole record goes.
   */
  readonly state: (typeof RETENTION_STATES)[number];
  /** Unix milliseconds by the store's clock of the announcement. */
  readonly at: number;
  /** The setting by which they go, and its days. */
  readonly setting: string;
  readonly days: number;
  readonly writes: number;
}
