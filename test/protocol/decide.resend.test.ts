import { describe, expect, it } from "vitest";
import { decide } from "../../services/protocol/decide.ts";
import type { DriverFacts } from "../../services/protocol/driver-facts.ts";
import { aFold, aSendBook, aWorkerFact, LEASE_MS, someFacts } from "../support/driver-facts.ts";

function resends(over: Partial<DriverFacts>) {
  return decide(someFacts(over)).filter(({ kind }) => kind === "resend");
}

/** Ten batches sent at 0; of batch 4 attempt 1 failed, and the next one is due at 500 ms. */
function afterFailure(dueMs = 500): Pick<DriverFacts, "fold" | "sends"> {
  const sends = aSendBook(10);
  sends.retries.set(4, dueMs);
  return { fold: aFold({ failed: [[4, 1]] }), sends };
}

const holder = (batch: number, over = {}) => aWorkerFact({ worker: "h", holds: (held) => held === batch, ...over });

describe("the next attempt of a batch that failed", () => {
  it("is sent when it is due", () => {
    expect(resends({ ...afterFailure(), nowMs: 499 })).toEqual([]);
    expect(resends({ ...afterFailure(), nowMs: 500 })).toEqual([
      { kind: "resend", batch: 4, attempt: 2, alone: false },
    ]);
  });

  it("waits while a fresh worker holds the batch, and not for one that is not fresh", () => {
    expect(resends({ ...afterFailure(), workerFacts: [holder(4)] })).toEqual([]);
    expect(resends({ ...afterFailure(), workerFacts: [holder(4, { fresh: false })] })).toHaveLength(1);
  });

  it("is not sent when the batch is settled", () => {
    const { sends } = afterFailure();

    expect(resends({ sends, fold: aFold({ failed: [[4, 1]], succeeded: [4] }) })).toEqual([]);
  });

  it("runs alone after a verdict", () => {
    expect(resends({ ...afterFailure(), verdicts: new Map([[4, 1]]) })).toMatchObject([{ batch: 4, alone: true }]);
  });
});

describe("the suspicion that a batch was lost", () => {
  /** Two polls found nothing, and began later than this. */
  const polled = (twoPollsAfterMs: number) => ({ twoPollsAfterMs, pollsNew: true, nowMs: twoPollsAfterMs + 100 });
  const allBut4 = aFold({ succeeded: [0, 1, 2, 3, 5, 6, 7, 8, 9] });

  it("sends the same attempt again when two polls began later than a lease after its last send", () => {
    expect(resends({ fold: allBut4, ...polled(LEASE_MS) })).toEqual([]);
    expect(resends({ fold: allBut4, ...polled(LEASE_MS + 1) })).toEqual([
      { kind: "resend", batch: 4, attempt: 1, alone: false },
    ]);
  });

  it.each<[string, Partial<DriverFacts>]>([
    ["before two polls were heard of", { twoPollsAfterMs: undefined, nowMs: 10 * LEASE_MS }],
    ["when no poll is new", { pollsNew: false }],
    ["while a fresh worker holds the batch", { workerFacts: [holder(4)] }],
    ["when the batch was not sent yet", { sends: aSendBook(4) }],
  ])("does not arise %s", (_, over) => {
    expect(resends({ fold: allBut4, ...polled(2 * LEASE_MS), ...over })).toEqual([]);
  });

  it("arises though a worker holds the batch that is fresh no more", () => {
    const facts = { fold: allBut4, ...polled(2 * LEASE_MS), workerFacts: [holder(4, { fresh: false })] };

    expect(resends(facts)).toHaveLength(1);
  });

  it("waits twice as long each time", () => {
    const sends = aSendBook(10);
    const fold = allBut4;
    for (const [sentAtMs, waitLeases] of [
      [LEASE_MS + 2, 2],
      [4 * LEASE_MS, 4],
      [9 * LEASE_MS, 8],
    ] as const) {
      sends.sent(4, 1, sentAtMs);
      expect(resends({ fold, sends, ...polled(sentAtMs + waitLeases * LEASE_MS) })).toEqual([]);
      expect(resends({ fold, sends, ...polled(sentAtMs + waitLeases * LEASE_MS + 1) })).toHaveLength(1);
    }
  });

  it("leaves a batch to its next attempt when the last one failed", () => {
    const { fold, sends } = afterFailure(100 * LEASE_MS);

    expect(
      resends({ fold, sends, ...polled(2 * LEASE_MS) }).map((action) => "batch" in action && action.batch),
    ).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9]);
  });

  it("says the attempt that was sent, and alone where the batch was judged before", () => {
    const sends = aSendBook(10);
    sends.sent(4, 2, 0);
    const fold = aFold({ failed: [[4, 1]], succeeded: [0, 1, 2, 3, 5, 6, 7, 8, 9].map((batch) => batch) });

    expect(resends({ sends, fold, verdicts: new Map([[4, 1]]), ...polled(3 * LEASE_MS) })).toEqual([
      { kind: "resend", batch: 4, attempt: 2, alone: true },
    ]);
  });

  it("waits while the batch's attempt is being judged: the judged attempt would be dropped by who gets it", () => {
    const dead = (worker: string) =>
      aWorkerFact({ worker, fresh: false, open: new Map([[4, { attempt: 1, range: undefined }]]) });
    const facts = someFacts({ fold: allBut4, workerFacts: [dead("a"), dead("b")], ...polled(2 * LEASE_MS) });

    const kinds = decide(facts).map(({ kind }) => kind);

    expect(kinds).toContain("verdict");
    expect(kinds).not.toContain("resend");
  });
});
