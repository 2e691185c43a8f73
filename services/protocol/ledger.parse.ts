/** Reading ledger and verdict bytes back. */
import type { LedgerLine, OutcomeLine, RowsAt, VerdictLine } from "./ledger.ts";
import { LIMITS } from "./limits.ts";
import { count, fields, flag, listOf, oneOf, optional, text, whole, type Shape } from "./shapes.ts";
import { DamagedObject } from "./stored.ts";

/** More batches than any job has: a line that names one of them is rubbish, and would be given memory. */
const BATCHES_MAX = 100_000_000;

/**
 * The complete lines in `bytes`, which start at a line's first byte. `consumed` is where the next read goes on: a torn
 * last line stays there until its newline comes. Throws `DamagedObject` for a complete line that no worker and no driver wrote.
 */
export function parseLines<Line extends LedgerLine | VerdictLine>(
  bytes: Buffer,
  key = "a ledger",
): { readonly lines: readonly Line[]; readonly consumed: number } {
  const consumed = bytes.lastIndexOf(10) + 1;
  if (consumed === 0) return { lines: [], consumed };
  // One JSON array is parsed several times faster than its lines one by one.
  const text = bytes.toString("utf8", 0, consumed - 1);
  let lines: readonly unknown[];
  try {
    lines = JSON.parse(`[${text.replaceAll("\n", ",")}]`) as readonly unknown[];
  } catch {
    // the parser's words quote what it found: no cause
    throw new DamagedObject(key, "holds a complete line that is not JSON");
  }
  for (const line of lines) {
    if (!isLedgerLine(line)) throw new DamagedObject(key, "holds a complete line that is none of its kind");
  }
  return { lines: lines as readonly Line[], consumed };
}

/** Whether a worker or a driver wrote it so; a kind of line that a newer writer brought is let through. */
export function isLedgerLine(line: unknown): boolean {
  if (typeof line !== "object" || line === null) return false;
  const { t } = line as { readonly t?: unknown };
  if (t === "outcome") return isOutcome(line);
  return typeof t === "string" && LINES[t]?.(line, "") === undefined;
}

/** By hand: nearly all lines are outcomes, and a job has millions. */
function isOutcome(line: Readonly<Partial<Record<keyof OutcomeLine, unknown>>>): boolean {
  const { batch, attempt, result, items, failed, seconds, rows, errors, fits } = line;
  return (
    isBatch(batch) &&
    isWhole(attempt, 1) &&
    attempt <= LIMITS.attemptsMax &&
    (result === "all" || result === "some" || result === "none") &&
    isWhole(items, 0) &&
    isWhole(failed, 0) &&
    failed <= items &&
    typeof seconds === "number" &&
    (fits === undefined || isWhole(fits, 1)) &&
    isRowsAt(rows) &&
    isRowsAt(errors)
  );
}

function isRowsAt(rows: unknown): boolean {
  if (rows === undefined) return true;
  if (typeof rows !== "object" || rows === null) return false;
  const { part, start, end, rows: many } = rows as Readonly<Partial<Record<keyof RowsAt, unknown>>>;
  return isWhole(part, 0) && isWhole(start, 0) && isWhole(end, start) && isWhole(many, 0);
}

function isBatch(value: unknown): value is number {
  return isWhole(value, 0) && value < BATCHES_MAX;
}

function isWhole(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

const batch: Shape = (value, at) => (isBatch(value) ? undefined : `${at} is no number of a batch`);
const range: Shape = (value, at) => {
  const isRange = Array.isArray(value) && value.length === 2 && value.every((one) => isWhole(one, 0));
  return isRange ? undefined : `${at} is no range of batches`;
};

/** The other kinds of lines. */
const LINES: Readonly<Record<string, Shape>> = {
  worker: fields({ worker: text }),
  ready: fields({ hook: flag }),
  start_failed: fields({ error: text, traceback: text }),
  held: fields({ held: listOf(range), started: listOf(count), polled: whole(-1) }),
  started: fields({ batch: count, attempt: count, range: optional(range) }),
  handed_back: fields({ batches: listOf(count) }),
  sealed: fields({ part: count, of: oneOf(["results", "errors"]), bytes: count, rows: count, sha256: text }),
  left: fields({ why: text }),
  died: fields({ batch, attempt: whole(1), worker: text, cause: text, range: optional(range) }),
};
