/** The counts again, by plain maps: written apart from `protocol/fold.ts`, so that one checks the other. */
import type { JobCounts } from "../../../protocol/jobs.ts";
import type { LedgerLine, OutcomeLine, VerdictLine } from "../../../protocol/ledger.ts";
import type { ReadLog } from "./logs.ts";

export interface Won {
  readonly ledger: string;
  readonly line: OutcomeLine;
}

export interface Folded {
  /** The outcome that counts of each batch that has one. */
  readonly winners: ReadonlyMap<number, Won>;
  /** Distinct failed attempts of each batch. */
  readonly failed: ReadonlyMap<number, ReadonlySet<number>>;
  readonly settled: ReadonlySet<number>;
  readonly counts: Omit<JobCounts, "batches" | "items" | "complete">;
}

const ORDER = { all: 0, some: 1, none: 2 } as const;

export function foldLines(
  ledgers: readonly ReadLog<LedgerLine>[],
  verdicts: readonly ReadLog<VerdictLine>[],
  attempts: number,
  itemsOf: readonly number[],
): Folded {
  const winners = new Map<number, Won>();
  const failed = new Map<number, Set<number>>();
  for (const { key, lines } of ledgers) {
    for (const { line, counts } of lines) {
      if (!counts || line.t !== "outcome") continue;
      const known = winners.get(line.batch);
      if (known === undefined || beats({ ledger: key, line }, known)) winners.set(line.batch, { ledger: key, line });
      if (line.result === "none") noteFailed(failed, line);
    }
  }
  for (const { lines } of verdicts) {
    for (const { line, counts } of lines) if (counts && line.range === undefined) noteFailed(failed, line);
  }
  return { winners, failed, ...countSettled(winners, failed, attempts, itemsOf) };
}

function noteFailed(failed: Map<number, Set<number>>, { batch, attempt }: { batch: number; attempt: number }): void {
  const known = failed.get(batch);
  if (known === undefined) failed.set(batch, new Set([attempt]));
  else known.add(attempt);
}

function beats(a: Won, b: Won): boolean {
  if (a.line.result !== b.line.result) return ORDER[a.line.result] < ORDER[b.line.result];
  if (a.line.attempt !== b.line.attempt) return a.line.attempt < b.line.attempt;
  return a.ledger < b.ledger;
}

function countSettled(
  winners: ReadonlyMap<number, Won>,
  failed: ReadonlyMap<number, ReadonlySet<number>>,
  attempts: number,
  itemsOf: readonly number[],
): Pick<Folded, "settled" | "counts"> {
  const settled = new Set<number>();
  const counts = {
    batches_succeeded: 0,
    batches_failed: 0,
    items_succeeded: 0,
    items_failed: 0,
    attempts_failed: 0,
    handler_seconds: 0,
  };
  for (const attemptsOf of failed.values()) counts.attempts_failed += attemptsOf.size;
  for (const batch of new Set([...winners.keys(), ...failed.keys()])) {
    const line = winners.get(batch)?.line;
    const ran = line !== undefined && line.result !== "none";
    if (!ran && (failed.get(batch)?.size ?? 0) < attempts) continue;
    settled.add(batch);
    const items = line?.items ?? itemsOf[batch] ?? 0;
    const failedItems = ran ? line.failed : items;
    counts[line?.result === "all" ? "batches_succeeded" : "batches_failed"] += 1;
    counts.items_succeeded += items - failedItems;
    counts.items_failed += failedItems;
    if (ran) counts.handler_seconds += line.seconds;
  }
  return { settled, counts };
}
