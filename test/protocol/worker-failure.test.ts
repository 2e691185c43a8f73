import { describe, expect, it } from "vitest";
import { workerFailure } from "../../services/protocol/decide.ts";
import type { GenerationFacts, WorkerFact } from "../../services/protocol/driver-facts.ts";

function aWorker(over: Partial<WorkerFact> = {}): WorkerFact {
  return {
    worker: "1-1-0-aa",
    current: true,
    generation: 1,
    ready: false,
    startFailed: undefined,
    fresh: true,
    disrupted: false,
    holds: () => false,
    open: new Map(),
    ...over,
  };
}

const FAILED = { error: "no module named numpy", traceback: "Traceback …" };

function judged(
  workerFacts: readonly WorkerFact[],
  generations: Partial<GenerationFacts> = {},
  workers = 2,
): string | undefined {
  const none = { highest: 1, live: 0, shortSinceMs: undefined, unreadyInRow: 0, size: 2, ...generations };
  const fold = { settled: 0, isSettled: () => false, nextAttempt: () => 1, attemptFailed: () => false };
  const split = { batches: 40, complete: true };
  const cause = workerFailure({ workerFacts, workers, generations: none, split, fold });
  return cause?.kind === "failed" ? cause.message : undefined;
}

describe("workerFailure", () => {
  it("fails a job when as many could not start as it asked for, and nobody ever got ready", () => {
    expect(judged([aWorker({ startFailed: FAILED })])).toBeUndefined();
    expect(judged([aWorker({ startFailed: FAILED }), aWorker({ startFailed: FAILED })])).toBe(
      "no module named numpy\nTraceback …",
    );
  });

  it("blames no start that failed after a worker of an earlier epoch was ready", () => {
    const before = aWorker({ current: false, ready: true });

    expect(judged([before, aWorker({ startFailed: FAILED }), aWorker({ startFailed: FAILED })])).toBeUndefined();
  });

  it("gives up when, after the last worker that was ready, starts fail and nothing else happens", () => {
    const failedAt = (lastWordMs: number) => aWorker({ startFailed: FAILED, fresh: false, lastWordMs });
    const wasReady = aWorker({ ready: true, fresh: false, lastWordMs: 100 });
    const three = [failedAt(110), failedAt(120), failedAt(130)];

    expect(judged([wasReady, ...three])).toContain("numpy");
    expect(judged([wasReady, ...three.slice(1)]), "two are bad luck").toBeUndefined();
    expect(judged([wasReady, failedAt(90), ...three.slice(1)]), "one was before").toBeUndefined();
    expect(judged([wasReady, aWorker({ ready: true, lastWordMs: 50 }), ...three]), "one works").toBeUndefined();
    expect(judged([wasReady, ...three], {}, 20), "too few of twenty").toBeUndefined();
  });

  it("gives up, with the last reason, when three generations in a row came to nothing", () => {
    const before = aWorker({ current: false, ready: true });

    expect(judged([before, aWorker({ startFailed: FAILED })], { unreadyInRow: 3 })).toContain("numpy");
    expect(judged([before], { unreadyInRow: 3 })).toContain("three generations");
    expect(judged([before], { unreadyInRow: 2 })).toBeUndefined();
  });
});
