import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LedgerFold, type FoldCounts, type Winner } from "../../services/protocol/fold.ts";
import type { OutcomeLine, VerdictLine } from "../../services/protocol/ledger.ts";
import { LIMITS } from "../../services/protocol/limits.ts";

const RESULTS = ["none", "some", "all"] as const;
/** Every batch has four items. */
const ITEMS = 4;

type Line = { readonly ledger: string; readonly outcome: OutcomeLine } | { readonly verdict: VerdictLine };

function anOutcome(batch: number, over: Partial<OutcomeLine> = {}): OutcomeLine {
  return { t: "outcome", batch, attempt: 1, result: "all", items: ITEMS, failed: 0, seconds: 0.5, ...over };
}

function aVerdict(batch: number, attempt: number): VerdictLine {
  return { t: "died", batch, attempt, worker: "1-1-0-aa", cause: "worker_died" };
}

function folded(lines: readonly Line[], attempts: number): LedgerFold {
  const fold = new LedgerFold(attempts, () => ITEMS);
  for (const line of lines) {
    if ("verdict" in line) fold.addVerdict(line.verdict);
    else fold.addLine(line.ledger, line.outcome);
  }
  return fold;
}

/** The rules of the design, said again in the plainest way: no state, all lines at once. */
function reference(lines: readonly Line[], attempts: number) {
  const counts: FoldCounts = {
    batchesSucceeded: 0,
    batchesFailed: 0,
    itemsSucceeded: 0,
    itemsFailed: 0,
    attemptsFailed: 0,
    handlerSeconds: 0,
  };
  const winners = new Map<number, Winner>();
  const settled = new Set<number>();
  const batches = new Set(lines.map((line) => ("verdict" in line ? line.verdict.batch : line.outcome.batch)));
  for (const batch of batches) {
    const outcomes = lines.flatMap((line) => ("outcome" in line && line.outcome.batch === batch ? [line] : []));
    const verdicts = lines.flatMap((line) => ("verdict" in line && line.verdict.batch === batch ? line.verdict : []));
    const failed = new Set(verdicts.map(({ attempt }) => attempt));
    for (const { outcome } of outcomes) if (outcome.result === "none") failed.add(outcome.attempt);
    counts.attemptsFailed += failed.size;
    const [best] = [...outcomes].sort(
      (a, b) =>
        RESULTS.indexOf(b.outcome.result) - RESULTS.indexOf(a.outcome.result) ||
        a.outcome.attempt - b.outcome.attempt ||
        (a.ledger < b.ledger ? -1 : 1),
    );
    if (best !== undefined) {
      winners.set(batch, { result: best.outcome.result, attempt: best.outcome.attempt, ledger: best.ledger });
    }
    const ok = best !== undefined && best.outcome.result !== "none";
    if (!ok && failed.size < attempts) continue;
    settled.add(batch);
    if (best?.outcome.result === "all") counts.batchesSucceeded += 1;
    else counts.batchesFailed += 1;
    const lost = ok ? best.outcome.failed : ITEMS;
    counts.itemsFailed += lost;
    counts.itemsSucceeded += ITEMS - lost;
    if (ok) counts.handlerSeconds += best.outcome.seconds;
  }
  return { counts, winners, settled };
}

/** What one attempt says is a function of who ran it, so that a repeated line is the same line. */
const line: fc.Arbitrary<Line> = fc
  .record({
    batch: fc.nat(5),
    attempt: fc.integer({ min: 1, max: 4 }),
    ledger: fc.constantFrom("l/1-1-0-aa-00000000", "l/1-1-0-aa-00000001", "l/1-1-1-bb-00000000"),
    kind: fc.constantFrom("none", "some", "all", "verdict"),
  })
  .map(({ batch, attempt, ledger, kind }): Line => {
    if (kind === "verdict") return { verdict: aVerdict(batch, attempt) };
    const result = kind;
    const failed = result === "all" ? 0 : result === "none" ? ITEMS : 1 + ((batch + attempt + ledger.length) % 3);
    const seconds = (1 + batch + 10 * attempt + ledger.charCodeAt(8)) / 7;
    return { ledger, outcome: anOutcome(batch, { attempt, result, failed, seconds: Math.round(seconds * 1e6) / 1e6 }) };
  });
const linesAndAttempts = fc.tuple(fc.array(line, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }));

describe("the fold of ledgers", () => {
  it("counts as the plain reading of the rules does", () => {
    fc.assert(
      fc.property(linesAndAttempts, ([lines, attempts]) => {
        const fold = folded(lines, attempts);
        const wanted = reference(lines, attempts);

        const { handlerSeconds, ...counts } = fold.counts;
        const { handlerSeconds: wantedSeconds, ...wantedCounts } = wanted.counts;
        expect(counts).toEqual(wantedCounts);
        expect(handlerSeconds).toBeCloseTo(wantedSeconds, 5);
        for (let batch = 0; batch <= 5; batch += 1) {
          expect(fold.winner(batch)).toEqual(wanted.winners.get(batch));
          expect(fold.isSettled(batch)).toBe(wanted.settled.has(batch));
        }
        expect(fold.settled).toBe(wanted.settled.size);
      }),
      { numRuns: 500 },
    );
  });

  it("does not care about order or repetition, to the last digit", () => {
    const shuffled = linesAndAttempts.chain(([lines, attempts]) =>
      fc.tuple(
        fc.constant(lines),
        fc.constant(attempts),
        fc
          .shuffledSubarray([...lines, ...lines, ...lines], { minLength: 0 })
          .map((some) => [...some, ...lines])
          .chain((all) => fc.shuffledSubarray(all, { minLength: all.length })),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([lines, attempts, again]) => {
        const once = folded(lines, attempts);
        const other = folded(again, attempts);

        expect(other.counts).toEqual(once.counts);
        for (let batch = 0; batch <= 5; batch += 1) {
          expect(other.winner(batch)).toEqual(once.winner(batch));
          expect(other.failedItems(batch)).toBe(once.failedItems(batch));
          expect(other.nextAttempt(batch)).toBe(once.nextAttempt(batch));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("never takes back that a batch is settled", () => {
    fc.assert(
      fc.property(linesAndAttempts, ([lines, attempts]) => {
        const fold = folded([], attempts);
        let settled = new Set<number>();
        for (const next of lines) {
          if ("verdict" in next) fold.addVerdict(next.verdict);
          else fold.addOutcome(next.ledger, next.outcome);
          const now = new Set([0, 1, 2, 3, 4, 5].filter((batch) => fold.isSettled(batch)));
          expect([...settled].every((batch) => now.has(batch))).toBe(true);
          expect(fold.settled).toBe(now.size);
          settled = now;
        }
      }),
    );
  });

  it.each(Array.from({ length: LIMITS.attemptsMax }, (_, index) => index + 1))(
    "settles a batch that fails when attempt %i is the last one allowed",
    (attempts) => {
      const fold = new LedgerFold(attempts, () => ITEMS);
      for (let attempt = 1; attempt <= attempts; attempt += 1) {
        expect(fold.isSettled(0)).toBe(false);
        expect(fold.nextAttempt(0)).toBe(attempt);
        fold.addOutcome("l", anOutcome(0, { attempt, result: "none", failed: ITEMS }));
      }

      expect(fold.isSettled(0)).toBe(true);
      expect(fold.failedAttempts(0)).toBe(attempts);
      expect(fold.counts).toMatchObject({ batchesFailed: 1, itemsFailed: ITEMS, attemptsFailed: attempts });
    },
  );

  it("asks for a batch's items only when every attempt was ended by a verdict", () => {
    const asked: number[] = [];
    const fold = new LedgerFold(2, (batch) => {
      asked.push(batch);
      return 9;
    });

    fold.addOutcome("l", anOutcome(0, { result: "none", failed: ITEMS }));
    fold.addVerdict(aVerdict(0, 2));
    expect(asked).toEqual([]);
    fold.addVerdict(aVerdict(1, 1));
    fold.addVerdict(aVerdict(1, 2));

    expect(asked.every((batch) => batch === 1)).toBe(true);
    expect(fold.counts).toMatchObject({ batchesFailed: 2, itemsFailed: ITEMS + 9 });
    expect(fold.failedItems(1)).toBe(9);
  });

  it("counts no failed attempt for a verdict over some of a batch's items", () => {
    const fold = folded([{ verdict: { ...aVerdict(0, 1), range: [0, 2] } }], 1);

    expect(fold.isSettled(0)).toBe(false);
    expect(fold.counts.attemptsFailed).toBe(0);
    expect(fold.nextAttempt(0)).toBe(1);
  });

  it("lets a late success win over a batch that had failed", () => {
    const fold = folded([{ verdict: aVerdict(0, 1) }], 1);
    expect(fold.counts).toMatchObject({ batchesFailed: 1, itemsFailed: ITEMS });

    expect(fold.addOutcome("l", anOutcome(0))).toBe(true);

    expect(fold.counts).toMatchObject({ batchesSucceeded: 1, batchesFailed: 0, itemsFailed: 0, attemptsFailed: 1 });
  });

  it("says whether a line is its batch's winner now", () => {
    const fold = new LedgerFold(3, () => ITEMS);

    expect(fold.addOutcome("b", anOutcome(0, { result: "none" }))).toBe(true);
    expect(fold.addOutcome("b", anOutcome(0, { result: "none" }))).toBe(false);
    expect(fold.addOutcome("b", anOutcome(0, { attempt: 2 }))).toBe(true);
    expect(fold.addOutcome("c", anOutcome(0, { attempt: 2 }))).toBe(false);
    expect(fold.addOutcome("a", anOutcome(0, { attempt: 2 }))).toBe(true);
    expect(fold.addOutcome("z", anOutcome(0, { attempt: 1 }))).toBe(true);
  });

  it("takes in a batch of any number, and lines that are no outcomes", () => {
    const fold = new LedgerFold(1, () => ITEMS);

    fold.addLine("l", { t: "ready", hook: true });
    fold.addOutcome("l", anOutcome(999_999));

    expect(fold.isSettled(999_999)).toBe(true);
    expect(fold.isSettled(5_000_000)).toBe(false);
    expect(fold.winner(5_000_000)).toBeUndefined();
    expect(fold.settled).toBe(1);
  });
});
