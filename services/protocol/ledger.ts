/**
 * The ledger: NDJSON lines that one worker appends and nobody else. Counts are folded from these lines and from the
 * driver's verdicts, and from nothing else. A torn last line (no newline yet) is not there.
 */
export const LEDGER_FORMAT = 1;

/** First line of each ledger object. */
export interface WorkerLine {
  readonly t: "worker";
  readonly format: typeof LEDGER_FORMAT;
  readonly worker: string;
}

/** The handler is up; `hook`: it has an on_job_complete. */
export interface ReadyLine {
  readonly t: "ready";
  readonly hook: boolean;
}

/** The handler could not start; `error` is one sentence, `traceback` the end of what it printed. */
export interface StartFailedLine {
  readonly t: "start_failed";
  readonly error: string;
  readonly traceback: string;
}

/** What the worker holds right now; also its sign of life. */
export interface HeldLine {
  readonly t: "held";
  /** Batches as [first, last] ranges, both included. */
  readonly held: readonly (readonly [number, number])[];
  /** Those of them that the handler has begun. */
  readonly started: readonly number[];
  /** The newest beat of the lane record that it had read before its last empty poll began; -1: none yet. */
  readonly polled: number;
}

/** Items [from, to) of a batch, counted from 0 in the batch. */
export type ItemRange = readonly [from: number, to: number];

/** Durable before the handler begins, where a death must be charged (`alone`). */
export interface StartedLine {
  readonly t: "started";
  readonly batch: number;
  readonly attempt: number;
  /** The items that begin, where the batch is being taken apart; absent: all of them. */
  readonly range?: ItemRange;
}

/** Where a batch's rows lie: bytes [start, end) of results part `part` of this worker. */
export interface RowsAt {
  readonly part: number;
  readonly start: number;
  readonly end: number;
  readonly rows: number;
}

export type OutcomeResult = "all" | "some" | "none";

/** One attempt's end, of the whole batch. */
export interface OutcomeLine {
  readonly t: "outcome";
  readonly batch: number;
  readonly attempt: number;
  readonly result: OutcomeResult;
  readonly items: number;
  /** Items that failed in it; = items for none, 0 for all. */
  readonly failed: number;
  /** Managed results; absent when the handler returned nothing. */
  readonly rows?: RowsAt;
  /** The failed items' lines in errors part `part`. */
  readonly errors?: RowsAt;
  /** Seconds that the handler took. */
  readonly seconds: number;
  /** Where no item succeeded: what went wrong, in a word (see AttemptCause), of the first item at least. */
  readonly cause?: string;
  /** More items at a time ran out of memory; so many did not, and no item of them is to blame. */
  readonly fits?: number;
}

/** Pointers given back unrun. */
export interface HandedBackLine {
  readonly t: "handed_back";
  readonly batches: readonly number[];
}

/** An attempt failed and is not charged yet: its worker may be to blame. An outcome or a hand-back follows. */
export interface DoubtedLine {
  readonly t: "doubted";
  readonly batch: number;
  readonly attempt: number;
}

/** A results or errors part is finished and will not grow. */
export interface SealedLine {
  readonly t: "sealed";
  readonly part: number;
  readonly of: "results" | "errors";
  readonly bytes: number;
  readonly rows: number;
  readonly sha256: string;
}

/** The worker leaves; its last line. */
export interface LeftLine {
  readonly t: "left";
  readonly why: string;
  /** Of a worker that stood down: why, in one sentence, and the end of what its last failure printed. */
  readonly error?: string;
  readonly traceback?: string;
}

export type LedgerLine =
  | WorkerLine
  | ReadyLine
  | StartFailedLine
  | HeldLine
  | StartedLine
  | OutcomeLine
  | HandedBackLine
  | DoubtedLine
  | SealedLine
  | LeftLine;

/** The driver's judgement over a batch whose worker died: one failed attempt. */
export interface VerdictLine {
  readonly t: "died";
  readonly batch: number;
  readonly attempt: number;
  readonly worker: string;
  readonly cause: string;
  /** The items that were running: no failed attempt, whoever gets the attempt next takes these apart (docs/isolation.md). */
  readonly range?: ItemRange;
}

export function encodeLine(line: LedgerLine | VerdictLine): string {
  if (line.t === "outcome" && line.result === "all") return encodeSuccess(line);
  return `${JSON.stringify(line)}\n`;
}

/** As JSON.stringify writes it, at a third of the price: most lines are of this kind. */
function encodeSuccess(line: OutcomeLine): string {
  const { batch, attempt, items, failed, seconds, rows } = line;
  if (line.errors !== undefined || line.cause !== undefined || line.fits !== undefined)
    return `${JSON.stringify(line)}\n`;
  const start = `{"t":"outcome","batch":${String(batch)},"attempt":${String(attempt)},"result":"all",`;
  const end = `"items":${String(items)},"failed":${String(failed)},"seconds":${String(seconds)}`;
  return `${start}${end}${rows === undefined ? "" : `,"rows":${JSON.stringify(rows)}`}}\n`;
}
