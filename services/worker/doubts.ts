import type { Clock } from "../backends/clock.ts";
import type { WorkerDeps } from "./context.ts";
import type { StoodDown } from "./leaving.ts";
import type { AttemptEnd, Settler } from "./settler.ts";
import { judge, runMinOf, signOf, type OthersSeen } from "./sickness.ts";
import { OtherWorkers, type LedgerSizes } from "./other-workers.ts";

export interface DoubtsParts {
  readonly clock: Clock;
  readonly others: Pick<OtherWorkers, "sizes" | "wroteBetween">;
  /** Time between two writes of a worker, milliseconds: no look at the others comes sooner. */
  readonly lookMs: number;
  readonly leaseMs: number;
  /** False where the job has one worker: nobody to be compared with. */
  readonly hasOthers: boolean;
  /** Workers of the job that stood down so far. */
  readonly stoodDown: () => number;
  /** Nothing runs and nothing waits: no further attempt will tell more soon. */
  readonly isIdle: () => boolean;
  /** The others shall see that this attempt failed, though it is not charged. */
  readonly tell: (line: AttemptEnd["line"]) => void;
  /** One more batch may begin. */
  readonly goOn: () => void;
  readonly onSick: (why: StoodDown) => void;
}

/** How long a failed attempt stays uncharged at most; where workers write less often, as long as they need to write three times. */
const DEFERRED_MS_MAX = 5_000;
/** The same while the worker has nothing else to do, or as long as they need to write once: a retry waits for it. */
const IDLE_MS_MAX = 200;
/** The same where it has failed so often that the others' next words may tell. */
const IDLE_IN_DOUBT_MS_MAX = 1_000;
const STEP_MS = 100;

interface Deferred {
  readonly end: AttemptEnd;
  readonly charge: () => void;
}

/**
 * Holds back the failed attempts of a worker while it may be the worker that is to blame. They are charged as soon as it does a
 * batch well, others fail as it does, or nothing was learned within seconds; when others do well what it fails they are not, and
 * it stands down. While it is in doubt it runs a batch at a time, so that it does not use up the attempts of a whole job.
 */
export class Doubts {
  readonly #parts: DoubtsParts;
  #failedInRow = 0;
  #deferred: Deferred[] = [];
  #deferredAtMs = 0;
  /** The others' ledgers when this run began, or at the last look that cleared it. */
  #mark: LedgerSizes | undefined;
  #markedAtMs = -Infinity;
  /** Until then shorter runs than `#trustedRun` are charged at once: the others fail too. */
  #trustedUntilMs = -Infinity;
  #trustedRun = 0;
  #mayProbe = false;
  #isSick = false;
  /** Ends the pause of `watch`. */
  #wake = new AbortController();

  constructor(parts: DoubtsParts) {
    this.#parts = parts;
  }

  /** How many attempts are held back. */
  get size(): number {
    return this.#deferred.length;
  }

  /** An attempt has ended: `charge` settles it, now or later, or never when the worker stands down. */
  ended(end: AttemptEnd, charge: () => void): void {
    const sign = signOf(end.line);
    if (sign === "failure") this.#failed(end, charge);
    else {
      if (sign === "success" && this.#failedInRow > 0) this.#endRun();
      charge();
    }
  }

  /** False: in doubt, and a batch runs already or has just run. */
  mayBegin(running: number): boolean {
    if (!this.#inDoubt) return true;
    if (!this.#mayProbe || running > 0) return false;
    this.#mayProbe = false;
    return true;
  }

  /** Charges all that is held back: its worker leaves for another reason. False: nothing was; one that stands down keeps it. */
  giveUp(): boolean {
    if (this.#isSick || this.#deferred.length === 0) return false;
    this.#charge();
    return true;
  }

  /** Looks after what is held back. Until the signal aborts, or the worker is sick. */
  async watch(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const lookMs = Math.max(STEP_MS, this.#parts.lookMs);
    let lookedAtMs = -Infinity;
    signal.addEventListener("abort", () => { this.#wake.abort(); }, { once: true }); // prettier-ignore
    while (!this.#isSick) {
      if (this.#deferred.length === 0) await this.#pause(signal);
      if (this.#inDoubt && clock.monotonicMs() - lookedAtMs >= lookMs) {
        await this.#look();
        lookedAtMs = clock.monotonicMs();
      } else if (this.#mark === undefined && clock.monotonicMs() - this.#markedAtMs >= this.#parts.leaseMs / 4) {
        await this.#setMark();
      }
      this.#chargeWhatWaitedLong();
      if (this.#deferred.length > 0) await this.#pause(signal, STEP_MS);
    }
  }

  get #inDoubt(): boolean {
    return this.#deferred.length > 0 && this.#failedInRow >= runMinOf(this.#parts.stoodDown());
  }

  #failed(end: AttemptEnd, charge: () => void): void {
    const { hasOthers, clock, tell } = this.#parts;
    this.#failedInRow += 1;
    if (this.#isSick) return; // it stays in the hand, and goes back with the others
    const nowMs = clock.monotonicMs();
    const isTrusted = nowMs < this.#trustedUntilMs && this.#failedInRow < this.#trustedRun;
    if (!hasOthers || isTrusted) {
      charge();
      return;
    }
    if (this.#deferred.length === 0) this.#deferredAtMs = nowMs;
    this.#deferred.push({ end, charge });
    tell(end.line);
    this.#wake.abort();
  }

  /** Until another attempt is held back, or `watch` is over; so long at most. */
  async #pause(signal: AbortSignal, milliseconds?: number): Promise<void> {
    const wake = this.#wake.signal;
    if (milliseconds === undefined) await aborted(wake);
    else await this.#parts.clock.sleep(milliseconds, wake).catch(() => undefined); // aborted: there is something to do
    if (wake.aborted) this.#wake = new AbortController();
    signal.throwIfAborted();
  }

  async #setMark(): Promise<void> {
    this.#mark = await this.#parts.others.sizes();
    this.#markedAtMs = this.#parts.clock.monotonicMs();
  }

  async #look(): Promise<void> {
    const { others, stoodDown } = this.#parts;
    if (this.#mark === undefined) return this.#setMark();
    const before = this.#mark;
    const now = await others.sizes();
    const seen = await others.wroteBetween(before, now);
    if (!this.#inDoubt) return; // a batch went well meanwhile
    const judgement = judge(this.#failedInRow, runMinOf(stoodDown()), seen);
    if (judgement === "sick") this.#standDown(seen);
    else if (judgement === "well" || (!seen.wrote && this.#waitedMs > this.#patienceMs)) {
      this.#trust(now);
    } else {
      this.#mayProbe = true;
      this.#parts.goOn();
    }
  }

  get #waitedMs(): number {
    return this.#parts.clock.monotonicMs() - this.#deferredAtMs;
  }

  get #patienceMs(): number {
    return Math.max(DEFERRED_MS_MAX, 3 * this.#parts.lookMs);
  }

  #chargeWhatWaitedLong(): void {
    if (this.#deferred.length === 0 || this.#isSick) return;
    const { lookMs } = this.#parts;
    const idleMs = this.#inDoubt ? Math.max(IDLE_IN_DOUBT_MS_MAX, 3 * lookMs) : Math.max(IDLE_MS_MAX, lookMs);
    if (this.#waitedMs >= (this.#parts.isIdle() ? idleMs : this.#patienceMs)) this.#charge();
  }

  /** Nobody does better: it goes on as if nothing had been asked, and asks again when it has failed twice as often. */
  #trust(now: LedgerSizes): void {
    this.#trustedUntilMs = this.#parts.clock.monotonicMs() + this.#parts.leaseMs;
    this.#trustedRun = 2 * Math.max(this.#failedInRow, runMinOf(this.#parts.stoodDown()));
    this.#mark = now;
    this.#charge();
  }

  /** A success of its own. */
  #endRun(): void {
    if (this.#isSick) return;
    this.#failedInRow = 0;
    this.#mark = undefined;
    this.#charge();
  }

  #charge(): void {
    for (const { charge } of this.#deferred.splice(0)) charge();
    this.#parts.goOn();
  }

  #standDown({ succeeded, failed }: OthersSeen): void {
    this.#isSick = true;
    const last = this.#deferred.at(-1)?.end.errors.at(-1);
    const others = `other workers did ${String(succeeded)} of ${String(succeeded + failed)} well`;
    this.#parts.onSick({
      error: `its last ${String(this.#failedInRow)} batches failed while ${others}; the last one: ${last?.error ?? "no word"}`,
      traceback: last?.traceback ?? "",
    });
  }
}

/** Those of a whole worker; `flushSeconds`: how often each of them writes. */
export function doubtsOf(
  { store, clock, identity, queue, spec, say }: WorkerDeps,
  settler: Settler,
  flushSeconds: number,
  hooks: Pick<DoubtsParts, "stoodDown" | "isIdle" | "goOn" | "onSick">,
): Doubts {
  return new Doubts({
    ...hooks,
    ...{ clock, lookMs: flushSeconds * 1000, leaseMs: queue.leaseSeconds * 1000, hasOthers: spec.workers > 1 },
    others: new OtherWorkers(store, identity),
    tell: ({ batch, attempt }) => {
      settler.note({ t: "doubted", batch, attempt });
    },
    onSick: (why) => {
      say(`this worker stands down: ${why.error}`);
      hooks.onSick(why);
    },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => { resolve(); }, { once: true }); // prettier-ignore
  });
}
