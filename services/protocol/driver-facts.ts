/** What a driver knows of its job at one moment, as far as `decide` reads it. */
import type { OpenStart } from "./worker-facts.ts";

/** The fold, as far as decisions read it. */
export interface FoldView {
  readonly settled: number;
  isSettled(batch: number): boolean;
  nextAttempt(batch: number): number;
  attemptFailed(batch: number, attempt: number): boolean;
}

/** What was sent in this epoch, as the driver remembers it. */
export interface SendView {
  /** Batches [0, through) were sent at least once. */
  readonly through: number;
  attempt(batch: number): number;
  /** Driver's monotonic milliseconds of the last send, with the suspicion's growing wait added. */
  suspectAfterMs(batch: number, leaseMs: number): number;
  /** Failed attempts whose next one is due, with the time at which it is: batch to monotonic milliseconds. */
  readonly retries: ReadonlyMap<number, number>;
}

export interface WorkerFact {
  readonly worker: string;
  /** Of this lane epoch (others are zombies or leftovers; their lines count all the same). */
  readonly current: boolean;
  readonly generation: number;
  readonly ready: boolean;
  readonly startFailed: { readonly error: string; readonly traceback: string } | undefined;
  /** Its ledger grew within two leases and its pool has not seen it end. */
  readonly fresh: boolean;
  /** It ended on behalf of the platform: nobody is charged. */
  readonly disrupted: boolean;
  /** When its ledger was last seen to grow, monotonic milliseconds; absent: not known. */
  readonly lastWordMs?: number;
  holds(batch: number): boolean;
  /** Started lines without an outcome, by batch. */
  readonly open: ReadonlyMap<number, OpenStart>;
}

export interface GenerationFacts {
  /** Highest number ever started in this epoch; 0: none yet. */
  readonly highest: number;
  /** Workers of it that are pending or running. */
  readonly live: number;
  /** Monotonic milliseconds since when fewer than half of the size live; undefined: enough do. */
  readonly shortSinceMs: number | undefined;
  /** Generations in a row, up to the newest, in which no worker ever got ready and none may any more. */
  readonly unreadyInRow: number;
  /** Size asked of the newest one. */
  readonly size: number;
}

export interface DriverFacts {
  readonly nowMs: number;
  readonly leaseMs: number;
  readonly attempts: number;
  readonly workers: number;
  readonly stopAsked: boolean;
  readonly timedOut: boolean;
  readonly splitFailure: string | undefined;
  /** Why the pool will never start this job's workers. */
  readonly poolRefusal?: string | undefined;
  readonly split: { readonly batches: number; readonly complete: boolean };
  readonly fold: FoldView;
  readonly sends: SendView;
  readonly workerFacts: readonly WorkerFact[];
  readonly generations: GenerationFacts;
  /** Two empty polls of workers began later than this, monotonic milliseconds; undefined: no two yet. */
  readonly twoPollsAfterMs: number | undefined;
  /** False when no poll was heard of since the last look: nothing new to suspect. */
  readonly pollsNew: boolean;
  /** Batches that were judged already: batch to number of verdicts. */
  readonly verdicts: ReadonlyMap<number, number>;
  /** Judgements over some items of a batch, as `judgementName` says them: none is passed twice. */
  readonly judged: ReadonlySet<string>;
  /** Items of a batch; undefined: the job's batches are not taken apart. */
  readonly isolatedItems: ((batch: number) => number) | undefined;
  /** Mean seconds that a batch takes its handler; undefined before the first outcome. */
  readonly secondsPerBatch: number | undefined;
}
