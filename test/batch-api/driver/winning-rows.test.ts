import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WinningRows } from "../../../services/batch-api/driver/winning-rows.ts";
import { LedgerFold } from "../../../services/protocol/fold.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import type { OutcomeLine } from "../../../services/protocol/ledger.ts";

const keys = jobKeys("digits", "e00000000000000a");
const A = keys.ledger("1-1-0-aa", 0);
const B = keys.ledger("1-1-1-bb", 0);

function anOutcome(batch: number, start: number, over: Partial<OutcomeLine> = {}): OutcomeLine {
  const rows = { part: 0, start, end: start + 10, rows: 1 };
  return { t: "outcome", batch, attempt: 1, result: "all", items: 1, failed: 0, seconds: 0, rows, ...over };
}

/** Reads lines as a driver does: each into the fold, and into the rows when it wins. */
function read(lines: readonly (readonly [ledger: string, line: OutcomeLine])[]): WinningRows {
  const fold = new LedgerFold(3, () => 1);
  const rows = new WinningRows((line) => line.rows);
  for (const [ledger, line] of lines) {
    if (fold.addOutcome(ledger, line)) rows.note(ledger, line);
  }
  return rows;
}

describe("where the winners' rows lie", () => {
  it("is told for each batch that has any", () => {
    const rows = read([
      [A, anOutcome(0, 0)],
      [B, anOutcome(5000, 0)],
      [A, { t: "outcome", batch: 1, attempt: 1, result: "all", items: 1, failed: 0, seconds: 0 }],
    ]);

    expect(rows.of(0)).toEqual({ part: 0, start: 0, end: 10, rows: 1 });
    expect(rows.of(5000)).toEqual({ part: 1, start: 0, end: 10, rows: 1 });
    expect(rows.of(1)).toBeUndefined();
    expect(rows.of(2)).toBeUndefined();
    expect(rows.of(1_000_000)).toBeUndefined();
    expect(rows.parts).toEqual([
      { worker: "1-1-0-aa", part: 0 },
      { worker: "1-1-1-bb", part: 0 },
    ]);
  });

  it("is the first of two equal outcomes in one ledger, as the fold counts it", () => {
    const rows = read([
      [A, anOutcome(0, 0)],
      [A, anOutcome(0, 10)],
    ]);

    expect(rows.of(0)).toMatchObject({ start: 0 });
  });

  it("moves to a better outcome of the same attempt in the same ledger", () => {
    const rows = read([
      [A, { t: "outcome", batch: 0, attempt: 1, result: "none", items: 1, failed: 1, seconds: 0 }],
      [A, anOutcome(0, 10)],
    ]);

    expect(rows.of(0)).toMatchObject({ start: 10 });
  });

  it("forgets rows of an attempt that another one without rows has beaten", () => {
    const rows = read([
      [A, anOutcome(0, 0, { result: "some", failed: 1 })],
      [B, { t: "outcome", batch: 0, attempt: 2, result: "all", items: 1, failed: 0, seconds: 0 }],
    ]);

    expect(rows.of(0)).toBeUndefined();
  });

  it("lists the batches of each part in the order of their bytes", () => {
    const rows = read([
      [A, anOutcome(7, 0)],
      [A, anOutcome(3, 10)],
      [B, anOutcome(1, 0)],
      [A, anOutcome(5, 20)],
    ]);

    expect(rows.byPart()).toEqual([[7, 3, 5], [1]]);
  });

  it("never lies elsewhere than the fold's winner, in whatever order ledgers are read", () => {
    const line = fc.record({
      ledger: fc.constantFrom(A, B),
      batch: fc.nat(3),
      attempt: fc.integer({ min: 1, max: 3 }),
      result: fc.constantFrom("all" as const, "some" as const, "none" as const),
    });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (found) => {
        const fold = new LedgerFold(3, () => 1);
        const rows = new WinningRows((outcome) => outcome.rows);
        const lines = found.map(({ ledger, ...over }, at) => [ledger, anOutcome(over.batch, 10 * at, over)] as const);
        for (const [ledger, outcome] of lines) if (fold.addOutcome(ledger, outcome)) rows.note(ledger, outcome);

        for (let batch = 0; batch <= 3; batch += 1) {
          const winner = fold.winner(batch);
          const first = lines.find(([ledger, outcome]) => {
            const { attempt, result } = outcome;
            return (
              outcome.batch === batch &&
              winner?.ledger === ledger &&
              winner.attempt === attempt &&
              winner.result === result
            );
          });
          expect(rows.of(batch)?.start).toBe(first?.[1].rows?.start);
        }
      }),
    );
  });
});
