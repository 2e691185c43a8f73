/**
 * What a driver does next, as a pure function of what it knows. The shell (services/batch-api/driver) gathers the facts
 * and carries the actions out; each action is idempotent, and fenced by names that hold job, epoch and generation.
 */
import { verdictsOf } from "./deaths.ts";
import type { DriverFacts } from "./driver-facts.ts";
import type { VerdictLine } from "./ledger.ts";
import { LIMITS } from "./limits.ts";
import type { EndCause } from "./states.ts";

export type DriverAction =
  | { readonly kind: "complete"; readonly cause: EndCause }
  | { readonly kind: "verdict"; readonly line: VerdictLine }
  | { readonly kind: "send"; readonly from: number; readonly to: number }
  | { readonly kind: "resend"; readonly batch: number; readonly attempt: number; readonly alone: boolean }
  | PoolAction;

export type PoolAction =
  | { readonly kind: "start"; readonly generation: number; readonly workers: number }
  | { readonly kind: "keep"; readonly generation: number; readonly workers: number; readonly hand: number };

/** Pointers sent in one action, so that a step of the driver stays short. */
const SEND_CHUNK = 4096;

export function decide(facts: DriverFacts): readonly DriverAction[] {
  const cause = endOf(facts);
  if (cause !== undefined) return [{ kind: "complete", cause }];
  const verdicts = verdictsOf(facts).map((line) => ({ kind: "verdict" as const, line }));
  // A verdict changes which attempt is due: what is sent again waits for the look after it.
  const resends = verdicts.length > 0 ? [] : resendsOf(facts);
  return [...verdicts, ...poolOf(facts), ...sendsOf(facts), ...resends];
}

/** Why the work ends now, if it does. A stop or a timeout that comes after the last batch closes the completion hook. */
function endOf(facts: DriverFacts): EndCause | undefined {
  if (facts.split.complete && facts.fold.settled === facts.split.batches) return { kind: "settled" };
  if (facts.stopAsked) return { kind: "stopped" };
  if (facts.timedOut) return { kind: "timed_out" };
  if (facts.splitFailure !== undefined) return { kind: "failed", reason: "split_failed", message: facts.splitFailure };
  return workerFailure(facts);
}

/**
 * No pool failure fails a job; this judgement does: nobody ever got ready and enough have tried, or nobody does any more, or three
 * generations in a row came to nothing.
 */
export function workerFailure(
  facts: Pick<DriverFacts, "workerFacts" | "workers" | "generations" | "split" | "fold" | "poolRefusal">,
): EndCause | undefined {
  if (facts.poolRefusal !== undefined) return { kind: "failed", reason: "worker_error", message: facts.poolRefusal };
  const failures = facts.workerFacts.flatMap((worker) => (worker.current ? (worker.startFailed ?? []) : []));
  const last = failures.at(-1);
  // Ready in an earlier epoch counts: the job's code and environment are the same.
  const everReady = facts.workerFacts.some((worker) => worker.ready);
  const allFail = !everReady && failures.length >= Math.min(3, wantedWorkers(facts));
  if (!allFail && !noneStartsAnyMore(facts) && facts.generations.unreadyInRow < 3) return undefined;
  return { kind: "failed", reason: "worker_error", message: last === undefined ? UNREADY : withTraceback(last) };
}

/** After the last word of the last worker that was ready only starts that failed: three, and half as many as there are workers. */
function noneStartsAnyMore(facts: Pick<DriverFacts, "workerFacts" | "workers" | "split" | "fold">): boolean {
  let readyUntilMs = -Infinity;
  for (const { ready, fresh, lastWordMs = Infinity } of facts.workerFacts) {
    if (ready) readyUntilMs = Math.max(readyUntilMs, fresh ? Infinity : lastWordMs);
  }
  const since = facts.workerFacts.filter(({ current, startFailed, lastWordMs = -Infinity }) => {
    return current && startFailed !== undefined && lastWordMs > readyUntilMs;
  });
  return since.length >= Math.max(3, wantedWorkers(facts) / 2);
}

const UNREADY =
  "three generations of workers in a row ended before any handler was ready; read the job's logs for what they said";

function withTraceback(failure: { readonly error: string; readonly traceback: string }): string {
  const tail = failure.traceback.trim();
  return tail === "" ? failure.error : `${failure.error}\n${tail}`;
}

/** Workers wanted now: never more than there is work for, at least one. */
export function wantedWorkers(facts: Pick<DriverFacts, "workers" | "split" | "fold">): number {
  const work = facts.split.complete ? facts.split.batches - facts.fold.settled : facts.split.batches;
  return Math.max(1, Math.min(facts.workers, work));
}

/** What the pool needs: a first or a next generation, or the newest one's size and hand. */
export function poolOf(facts: DriverFacts): PoolAction[] {
  const { generations } = facts;
  const wanted = wantedWorkers(facts);
  const hand = handOf(facts);
  if (generations.highest === 0) return [{ kind: "start", generation: 1, workers: wanted }];
  // Longer and longer waits when generation after generation comes to nothing.
  const backoffMs = facts.leaseMs * 2 ** Math.min(generations.unreadyInRow, 4);
  if (generations.shortSinceMs !== undefined && facts.nowMs - generations.shortSinceMs >= backoffMs) {
    return [{ kind: "start", generation: generations.highest + 1, workers: wanted }];
  }
  return [{ kind: "keep", generation: generations.highest, workers: wanted, hand }];
}

/** What a dead worker held runs alone afterwards, each behind a durable line: that must not take minutes. */
const HAND_MAX = 2_000;

/** Pointers that one worker may hold: two seconds of work, a quarter of its share of what is left, at least one. */
function handOf(facts: DriverFacts): number {
  if (facts.secondsPerBatch === undefined) return 1;
  const unsettled = facts.split.batches - facts.fold.settled;
  const byTime = 2 / Math.max(facts.secondsPerBatch, 1e-6);
  const byShare = unsettled / (4 * facts.workers);
  return Math.max(1, Math.floor(Math.min(byTime, byShare, 100_000 / facts.workers, HAND_MAX)));
}

function sendsOf(facts: DriverFacts): DriverAction[] {
  const from = facts.sends.through;
  const room = LIMITS.lanePointersMax - (from - facts.fold.settled);
  const to = Math.min(facts.split.batches, from + Math.min(SEND_CHUNK, room));
  return to > from ? [{ kind: "send", from, to }] : [];
}

function resendsOf(facts: DriverFacts): DriverAction[] {
  const fresh = facts.workerFacts.filter((worker) => worker.fresh);
  const held = (batch: number) => fresh.some((worker) => worker.holds(batch));
  const actions: DriverAction[] = [];
  for (const [batch, dueMs] of facts.sends.retries) {
    if (facts.nowMs < dueMs || facts.fold.isSettled(batch) || held(batch)) continue;
    const alone = (facts.verdicts.get(batch) ?? 0) > 0;
    actions.push({ kind: "resend", batch, attempt: facts.fold.nextAttempt(batch), alone });
  }
  if (!facts.pollsNew || facts.twoPollsAfterMs === undefined) return actions;
  for (let batch = 0; batch < facts.sends.through; batch += 1) {
    if (facts.fold.isSettled(batch) || facts.sends.retries.has(batch)) continue;
    if (facts.sends.suspectAfterMs(batch, facts.leaseMs) >= facts.twoPollsAfterMs || held(batch)) continue;
    const alone = (facts.verdicts.get(batch) ?? 0) > 0;
    actions.push({ kind: "resend", batch, attempt: facts.sends.attempt(batch), alone });
  }
  return actions;
}
