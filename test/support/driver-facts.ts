/** What a driver knows, whole and quiet, with only what matters said: a running job on which nothing is to be done. */
import type { DriverFacts, GenerationFacts, WorkerFact } from "../../services/protocol/driver-facts.ts";
import { LedgerFold } from "../../services/protocol/fold.ts";
import { SendBook } from "../../services/batch-api/driver/send-book.ts";

export const LEASE_MS = 60_000;

export interface JobSoFar {
  /** Batches that succeeded. */
  readonly succeeded?: readonly number[];
  /** Attempts that failed: batch and attempt. */
  readonly failed?: readonly (readonly [batch: number, attempt: number])[];
}

export function aFold({ succeeded = [], failed = [] }: JobSoFar = {}, attempts = 3): LedgerFold {
  const fold = new LedgerFold(attempts, () => 1);
  const line = { t: "outcome", items: 1, seconds: 1 } as const;
  for (const batch of succeeded) fold.addOutcome("l", { ...line, batch, attempt: 1, result: "all", failed: 0 });
  for (const [batch, attempt] of failed) fold.addOutcome("l", { ...line, batch, attempt, result: "none", failed: 1 });
  return fold;
}

/** All of `batches` sent once at millisecond 0. */
export function aSendBook(batches: number): SendBook {
  const sends = new SendBook();
  for (let batch = 0; batch < batches; batch += 1) sends.sent(batch, 1, 0);
  sends.through = batches;
  return sends;
}

export function aWorkerFact(over: Partial<WorkerFact> = {}): WorkerFact {
  return {
    worker: "1-1-0-aa",
    current: true,
    generation: 1,
    ready: true,
    startFailed: undefined,
    fresh: true,
    disrupted: false,
    holds: () => false,
    open: new Map(),
    ...over,
  };
}

export function someGenerations(over: Partial<GenerationFacts> = {}): GenerationFacts {
  return { highest: 1, live: 2, shortSinceMs: undefined, unreadyInRow: 0, size: 2, ...over };
}

/** Ten batches, all sent at 0, none settled, two workers ready, no polls. */
export function someFacts(over: Partial<DriverFacts> = {}): DriverFacts {
  return {
    nowMs: 1_000,
    leaseMs: LEASE_MS,
    attempts: 3,
    workers: 2,
    stopAsked: false,
    timedOut: false,
    splitFailure: undefined,
    split: { batches: 10, complete: true },
    fold: aFold(),
    sends: aSendBook(10),
    workerFacts: [aWorkerFact(), aWorkerFact({ worker: "1-1-1-bb" })],
    generations: someGenerations(),
    twoPollsAfterMs: undefined,
    pollsNew: false,
    verdicts: new Map(),
    judged: new Set(),
    isolatedItems: undefined,
    secondsPerBatch: 1,
    ...over,
  };
}
