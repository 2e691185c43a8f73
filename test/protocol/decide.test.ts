import { describe, expect, it } from "vitest";
import { judgementName } from "../../services/protocol/deaths.ts";
import { decide, type DriverAction } from "../../services/protocol/decide.ts";
import type { DriverFacts } from "../../services/protocol/driver-facts.ts";
import type { ItemRange } from "../../services/protocol/ledger.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { aFold, aSendBook, aWorkerFact, LEASE_MS, someFacts, someGenerations } from "../support/driver-facts.ts";

const ALL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const FAULT = { t: "start_failed", error: "no module named numpy", traceback: "Traceback: numpy" } as const;

function actions<K extends DriverAction["kind"]>(kind: K, over: Partial<DriverFacts>) {
  return decide(someFacts(over)).filter((action): action is Extract<DriverAction, { kind: K }> => action.kind === kind);
}

function causeOf(over: Partial<DriverFacts>) {
  return actions("complete", over)[0]?.cause;
}

const unready = (worker: string, over = {}) => aWorkerFact({ worker, ready: false, startFailed: FAULT, ...over });

describe("the end of the work", () => {
  it.each<[string, Partial<DriverFacts>, string | undefined]>([
    ["is not there while a batch is not settled", { fold: aFold({ succeeded: ALL.slice(1) }) }, undefined],
    ["comes when all are settled", { fold: aFold({ succeeded: ALL }) }, "settled"],
    [
      "comes at once for a job of zero batches",
      { split: { batches: 0, complete: true }, sends: aSendBook(0) },
      "settled",
    ],
    [
      "does not come before the split has ended",
      { fold: aFold({ succeeded: ALL }), split: { batches: 10, complete: false } },
      undefined,
    ],
    ["comes with a stop", { stopAsked: true }, "stopped"],
    ["comes with a timeout", { timedOut: true }, "timed_out"],
    ["is a stop when both a stop and a timeout came", { stopAsked: true, timedOut: true }, "stopped"],
    [
      "is settled when a stop comes after the last batch: the hook is closed then",
      { stopAsked: true, fold: aFold({ succeeded: ALL }) },
      "settled",
    ],
    ["comes when the data cannot be split", { splitFailure: "no match" }, "failed"],
    ["is a stop when the split failed as well", { splitFailure: "no match", stopAsked: true }, "stopped"],
  ])("%s", (_, facts, kind) => {
    expect(causeOf(facts)?.kind).toBe(kind);
  });

  it("says nothing else when it has come", () => {
    expect(decide(someFacts({ stopAsked: true, sends: aSendBook(0) }))).toHaveLength(1);
  });

  it("hands on why the data could not be split", () => {
    const facts = { splitFailure: "no object matches *.jsonl" };

    expect(causeOf(facts)).toEqual({ kind: "failed", reason: "split_failed", message: "no object matches *.jsonl" });
  });
});

describe("the judgement over workers that do not start", () => {
  it.each<[string, Partial<DriverFacts>, boolean]>([
    ["waits while two of three have failed", { workers: 3, workerFacts: [unready("a"), unready("b")] }, false],
    ["comes after three of many", { workers: 9, workerFacts: [unready("a"), unready("b"), unready("c")] }, true],
    ["comes after the only one of a job that wants one", { workers: 1, workerFacts: [unready("a")] }, true],
    ["counts nobody of another epoch", { workers: 1, workerFacts: [unready("a", { current: false })] }, false],
    ["does not come while anybody ever was ready", { workers: 1, workerFacts: [unready("a"), aWorkerFact()] }, false],
    [
      "comes after three generations in a row without a ready",
      { workerFacts: [], generations: someGenerations({ unreadyInRow: 3 }) },
      true,
    ],
    ["waits for the third generation", { workerFacts: [], generations: someGenerations({ unreadyInRow: 2 }) }, false],
    [
      "comes after three such generations though an earlier one was ready",
      { generations: someGenerations({ unreadyInRow: 3 }) },
      true,
    ],
  ])("%s", (_, facts, failed) => {
    expect(causeOf(facts)?.kind).toBe(failed ? "failed" : undefined);
  });

  it.each([
    { when: "enough have tried", over: { workers: 1, workerFacts: [unready("a")] } },
    {
      when: "three generations came to nothing after one that was ready",
      over: { workerFacts: [aWorkerFact(), unready("b")], generations: someGenerations({ unreadyInRow: 3 }) },
    },
  ])("names error and traceback when $when", ({ over }) => {
    expect(causeOf(over)).toEqual({
      kind: "failed",
      reason: "worker_error",
      message: "no module named numpy\nTraceback: numpy",
    });
  });
});

describe("a verdict", () => {
  const open = (attempt: number, range?: ItemRange) => new Map([[4, { attempt, range }]]);
  const dead = (worker: string, over = {}) => aWorkerFact({ worker, fresh: false, open: open(1), ...over });
  const charged = { t: "died", batch: 4, attempt: 1, cause: "worker_died" } as const;

  it("is written over a batch that two dead workers had started", () => {
    const facts = { workerFacts: [dead("a"), dead("b"), aWorkerFact()] };

    expect(actions("verdict", facts).map(({ line }) => line)).toEqual([{ ...charged, worker: "b" }]);
  });

  it.each<[string, Partial<DriverFacts>]>([
    ["after one death, which charges nobody", { workerFacts: [dead("a")] }],
    ["while one of the two is fresh", { workerFacts: [dead("a"), dead("b", { fresh: true })] }],
    ["when one of the two was disrupted", { workerFacts: [dead("a"), dead("b", { disrupted: true })] }],
    ["over a settled batch", { workerFacts: [dead("a"), dead("b")], fold: aFold({ succeeded: [4] }) }],
    ["over an attempt that failed already", { workerFacts: [dead("a"), dead("b")], fold: aFold({ failed: [[4, 1]] }) }],
    ["over two attempts with one death each", { workerFacts: [dead("a"), dead("b", { open: open(2) })] }],
  ])("is not written %s", (_, facts) => {
    expect(actions("verdict", facts)).toEqual([]);
  });

  it("needs one death only when the batch was judged before", () => {
    const facts = {
      workerFacts: [dead("a"), dead("b"), dead("c", { open: open(2) })],
      fold: aFold({ failed: [[4, 1]] }),
      verdicts: new Map([[4, 1]]),
    };

    expect(actions("verdict", facts).map(({ line }) => line)).toEqual([{ ...charged, attempt: 2, worker: "c" }]);
  });

  describe("over the last attempt of a batch that may be taken apart", () => {
    const last = { attempts: 1, isolatedItems: () => 8 };
    const verdicts = (facts: Partial<DriverFacts>) => actions("verdict", { ...last, ...facts }).map(({ line }) => line);

    it("names the items that ran, all of them where none are said", () => {
      const half = { open: open(1, [4, 8]) };

      expect(verdicts({ workerFacts: [dead("a"), dead("b")] })).toEqual([{ ...charged, worker: "b", range: [0, 8] }]);
      expect(verdicts({ workerFacts: [dead("c", half)], verdicts: new Map([[4, 1]]) })).toEqual([
        { ...charged, worker: "c", range: [4, 8] },
      ]);
    });

    it("needs two deaths over the same items when it is the batch's first", () => {
      expect(verdicts({ workerFacts: [dead("a"), dead("b", { open: open(1, [0, 4]) })] })).toEqual([]);
    });

    it("needs two deaths over a single item, which fails by it for good", () => {
      const item = { open: open(1, [3, 4]) };
      const judged = { verdicts: new Map([[4, 3]]) };

      expect(verdicts({ ...judged, workerFacts: [dead("a", item)] })).toEqual([]);
      expect(verdicts({ ...judged, workerFacts: [dead("a", item), dead("b", item)] })).toEqual([
        { ...charged, worker: "b", range: [3, 4] },
      ]);
    });

    it("is not passed twice over the same items", () => {
      const judged = new Set([judgementName({ batch: 4, attempt: 1, range: [0, 8] })]);
      const facts = { verdicts: new Map([[4, 1]]), judged };

      expect(verdicts({ ...facts, workerFacts: [dead("a"), dead("b"), dead("c")] })).toEqual([]);
    });

    it("is over the whole attempt where there is one item, or a later attempt", () => {
      const both = { workerFacts: [dead("a"), dead("b")] };

      expect(verdicts({ ...both, isolatedItems: () => 1 })).toEqual([{ ...charged, worker: "b" }]);
      expect(verdicts({ ...both, attempts: 2 })).toEqual([{ ...charged, worker: "b" }]);
      expect(verdicts({ ...both, isolatedItems: undefined })).toEqual([{ ...charged, worker: "b" }]);
    });
  });
});

describe("the pool", () => {
  it("starts with the first look, before anything is split, with one worker at least", () => {
    const facts = { generations: someGenerations({ highest: 0 }), split: { batches: 0, complete: false } };

    expect(actions("start", facts)).toEqual([{ kind: "start", generation: 1, workers: 1 }]);
  });

  it.each([
    { workers: 8, batches: 3, complete: false, succeeded: [0, 1], wanted: 3 },
    { workers: 8, batches: 10, complete: true, succeeded: ALL.slice(3), wanted: 3 },
    { workers: 2, batches: 10, complete: true, succeeded: [], wanted: 2 },
  ])("keeps $wanted of $workers workers for $batches batches", ({ workers, batches, complete, succeeded, wanted }) => {
    const facts = { workers, split: { batches, complete }, fold: aFold({ succeeded }), sends: aSendBook(batches) };

    expect(actions("keep", facts)).toMatchObject([{ generation: 1, workers: wanted }]);
  });

  it.each([
    { unreadyInRow: 0, leases: 1 },
    { unreadyInRow: 1, leases: 2 },
    { unreadyInRow: 2, leases: 4 },
  ])(
    "waits $leases leases for the next generation after $unreadyInRow that came to nothing",
    ({ unreadyInRow, leases }) => {
      const generations = someGenerations({ highest: 3, live: 0, shortSinceMs: 500, unreadyInRow });
      const dueMs = 500 + leases * LEASE_MS;

      expect(actions("start", { generations, nowMs: dueMs - 1 })).toEqual([]);
      expect(actions("start", { generations, nowMs: dueMs })).toEqual([{ kind: "start", generation: 4, workers: 2 }]);
    },
  );
});

describe("the hand of a worker", () => {
  it.each([
    { why: "before the first outcome is known", secondsPerBatch: undefined, batches: 10_000, workers: 2, hand: 1 },
    { why: "for two seconds of work", secondsPerBatch: 0.1, batches: 10_000, workers: 2, hand: 20 },
    { why: "for batches longer than two seconds", secondsPerBatch: 30, batches: 10_000, workers: 2, hand: 1 },
    { why: "for a quarter of a share", secondsPerBatch: 0.001, batches: 80, workers: 2, hand: 10 },
    { why: "near the end", secondsPerBatch: 0.001, batches: 3, workers: 2, hand: 1 },
    { why: "of very many workers", secondsPerBatch: 0, batches: 900_000, workers: 10_000, hand: 10 },
  ])("holds $hand $why", ({ secondsPerBatch, batches, workers, hand }) => {
    const facts = { secondsPerBatch, workers, split: { batches, complete: true }, sends: aSendBook(batches) };

    expect(actions("keep", facts)).toMatchObject([{ hand }]);
  });
});

describe("what is sent first", () => {
  it("is what the split knows and was not sent, in chunks", () => {
    const split = { batches: 10_000, complete: false };

    expect(actions("send", { split })).toEqual([{ kind: "send", from: 10, to: 10 + 4096 }]);
    expect(actions("send", { split: { batches: 12, complete: false } })).toEqual([{ kind: "send", from: 10, to: 12 }]);
    expect(actions("send", {})).toEqual([]);
  });

  it("never makes more unsettled pointers than a lane may hold", () => {
    const sends = aSendBook(1);
    const most = LIMITS.lanePointersMax;
    const facts = (through: number) => {
      sends.through = through;
      return { sends, split: { batches: 2 * most, complete: false } };
    };

    expect(actions("send", facts(most - 5))).toEqual([{ kind: "send", from: most - 5, to: most }]);
    expect(actions("send", facts(most))).toEqual([]);
    expect(actions("send", { ...facts(most), fold: aFold({ succeeded: [0, 1] }) })).toMatchObject([{ to: most + 2 }]);
  });
});
