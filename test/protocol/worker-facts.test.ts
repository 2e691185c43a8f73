import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LedgerLine } from "../../services/protocol/ledger.ts";
import { addLine, asRanges, holds, newWorkerFacts } from "../../services/protocol/worker-facts.ts";

const outcome = { t: "outcome", attempt: 1, result: "all", items: 1, failed: 0, seconds: 1 } as const;

function factsOf(...lines: readonly LedgerLine[]) {
  const facts = newWorkerFacts("1-1-0-aa");
  for (const line of lines) addLine(facts, line);
  return facts;
}

const held = (...ranges: [number, number][]): LedgerLine => ({ t: "held", held: ranges, started: [], polled: 3 });

describe("what a worker's ledger says of it", () => {
  it("is ready once it says so, with or without a hook", () => {
    expect(factsOf().hook).toBeUndefined();
    expect(factsOf({ t: "ready", hook: false }).hook).toBe(false);
    expect(factsOf({ t: "ready", hook: true }).hook).toBe(true);
  });

  it("holds what its newest held line names, less what it finished or handed back since", () => {
    const facts = factsOf(
      held([0, 9]),
      held([2, 4], [8, 8]),
      { ...outcome, batch: 3 },
      { t: "handed_back", batches: [8] },
    );

    expect([...Array(12).keys()].filter((batch) => holds(facts, batch))).toEqual([2, 4]);
    expect(facts.polled).toBe(3);
  });

  it("holds again what a newer held line names", () => {
    const facts = factsOf(held([2, 4]), { ...outcome, batch: 3 }, held([3, 3]));

    expect(holds(facts, 3)).toBe(true);
  });

  it("keeps a started line open until an outcome or a hand-back closes it", () => {
    const started = (batch: number, attempt = 1): LedgerLine => ({ t: "started", batch, attempt });
    const facts = factsOf(
      started(1),
      started(2, 2),
      started(3),
      { ...outcome, batch: 1 },
      { t: "handed_back", batches: [3] },
    );

    expect([...facts.open]).toEqual([[2, { attempt: 2, range: undefined }]]);
  });

  it("knows its sealed parts, why it could not start, and that it left", () => {
    const sealed = { t: "sealed", part: 0, of: "results", bytes: 5, rows: 1, sha256: "ab" } as const;
    const fault = { t: "start_failed", error: "no module", traceback: "" } as const;
    const facts = factsOf(sealed, fault, { t: "left", why: "sick" });

    expect(facts).toMatchObject({ sealed: [sealed], startFailed: fault, left: true });
  });

  it("writes batches as ranges that hold each of them and nothing else", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60)), (batches) => {
        const sorted = [...batches].sort((a, b) => a - b);
        const ranges = asRanges(sorted);
        const listed = ranges.flatMap(([first, last]) =>
          Array.from({ length: last - first + 1 }, (_, at) => first + at),
        );

        expect(listed).toEqual(sorted);
        for (const [index, [first]] of ranges.entries()) {
          if (index > 0) expect(first).toBeGreaterThan((ranges[index - 1]?.[1] ?? 0) + 1);
        }
      }),
    );
  });
});
