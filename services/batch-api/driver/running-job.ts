import type { GenerationName, PoolWorker, WorkerPool } from "../../backends/worker-pool.ts";
import { jobKeys } from "../../protocol/keys.ts";
import type { JobSpec } from "../../protocol/jobs.ts";
import { encodeLine, type OutcomeLine, type VerdictLine } from "../../protocol/ledger.ts";
import { Beats } from "./beats.ts";
import type { DriverDeps } from "./context.ts";
import type { JobState } from "./job-state.ts";
import type { LaneLease } from "./lane-lease.ts";
import { LedgerReader } from "./ledger-reader.ts";
import { PoolWatch } from "./pool-watch.ts";
import { Rate } from "./rate.ts";
import { Troubles } from "./retries.ts";
import { SendBook } from "./send-book.ts";
import { SplitReader } from "./split-reader.ts";

/** A failed attempt is tried again after 0.1 s, 0.2 s, 0.4 s, … at most a lease. */
const RETRY_FIRST_MS = 100;
/** Data that could not be reached is likely to come back, though not within milliseconds. */
const UNREACHABLE_FIRST_MS = 3_000;

/** A stop that came to another replica is heard within so long. */
const STOP_LOOK_MS = 2_000;

/** All that a driver knows of the job that it drives, for as long as it holds the lane. */
export class RunningJob {
  readonly deps: DriverDeps;
  readonly spec: JobSpec;
  readonly lease: LaneLease;
  readonly state: JobState;
  readonly splits: SplitReader;
  readonly ledgers: LedgerReader;
  readonly sends = new SendBook();
  readonly beats = new Beats();
  readonly poolWatch = new PoolWatch();
  readonly rate: Rate;
  readonly troubles: Troubles;
  /** When each worker's ledger was last seen to grow, monotonic milliseconds. */
  readonly grownAtMs = new Map<string, number>();
  poolWorkers: readonly PoolWorker[] = [];
  /** Workers that their pool saw end. */
  readonly endedWorkers = new Set<string>();
  splitFailure: string | undefined;
  /** Why the pool starts no worker for it, ever. */
  poolRefusal: string | undefined;
  /** Sentences for the job's warnings. */
  notices: readonly string[] = [];
  /** In words, what its workers wait for before any of them is started; empty: nothing. */
  codeWait = "";
  /** When a step of the work ended last, monotonic milliseconds: while nothing moves, the lane's beat must stop. */
  movedAtMs: number;
  /** This term's verdict object in work, and its bytes. */
  #verdictPart = 0;
  #verdictBytes = 0;
  #verdictAppends = 0;
  #asksPool = false;
  #codeReady = false;
  #stopAsked = false;
  #stopCheckedAtMs = -Infinity;
  #timeCheckedAtMs = -Infinity;
  #timedOut = false;
  #outcomes = 0;
  #outcomeSeconds = 0;

  constructor(deps: DriverDeps, spec: JobSpec, lease: LaneLease, state: JobState) {
    this.deps = deps;
    this.spec = spec;
    this.lease = lease;
    this.state = state;
    this.rate = new Rate(deps.clock);
    this.troubles = new Troubles(spec.job, deps.log);
    this.movedAtMs = deps.clock.monotonicMs();
    this.splits = new SplitReader(deps.store, spec.api, spec.job, spec.input.batch_size);
    this.ledgers = new LedgerReader({
      store: deps.store,
      api: spec.api,
      job: spec.job,
      attempts: spec.attempts,
      itemsOf: (batch) => this.splits.itemsOf(batch),
      onOutcome: (_key, line) => {
        this.#noteOutcome(line);
      },
      onStep: () => {
        this.moved();
      },
    });
  }

  /** The pool is asked. Its silence is for the beat's probe to judge: it says nothing of this process. */
  get asksPool(): boolean {
    return this.#asksPool;
  }

  async askPool<T>(ask: (pool: WorkerPool) => Promise<T>): Promise<T> {
    this.#asksPool = true;
    try {
      return await ask(this.deps.pool);
    } finally {
      this.#asksPool = false;
      this.moved();
    }
  }

  /** Awaits a call that ends by itself, however long it takes. */
  async during<T>(call: Promise<T>): Promise<T> {
    const over = new AbortController();
    const ended = call.finally(() => {
      over.abort();
    });
    while (!over.signal.aborted) {
      await Promise.race([ended.catch(() => undefined), this.deps.clock.sleep(this.leaseMs / 4, over.signal).catch(() => undefined)]); // prettier-ignore
      this.moved();
    }
    return ended;
  }

  /** Whether workers of its version may start. When they never may, the job fails in the words of that. */
  async codeIsReady(): Promise<boolean> {
    if (this.#codeReady) return true;
    const { api, version } = this.spec;
    const readiness = (await this.deps.readiness?.(api, version)) ?? { kind: "ready" };
    this.#codeReady = readiness.kind === "ready";
    this.codeWait = readiness.kind === "waits" ? readiness.why : "";
    if (readiness.kind === "failed") this.poolRefusal = readiness.why;
    return this.#codeReady;
  }

  /** A step of the work has ended. */
  moved(): void {
    this.movedAtMs = this.deps.clock.monotonicMs();
  }

  get leaseMs(): number {
    return this.deps.queue.leaseSeconds * 1000;
  }

  generationName(generation: number): GenerationName {
    const { api, job } = this.spec;
    return { api, job, lane: this.lease.lane, epoch: this.lease.record.epoch, generation };
  }

  /** Appends a verdict, durable before anything follows from it. */
  async writeVerdict(line: VerdictLine): Promise<void> {
    const bytes = Buffer.from(encodeLine(line));
    const key = jobKeys(this.spec.api, this.spec.job).verdict(this.lease.record.term, this.#verdictPart);
    try {
      await this.deps.store.append(key, bytes, this.#verdictBytes);
    } catch (error) {
      // It may have landed, or land yet: that object's length is unknown from now on, so the next one is begun.
      this.#nextVerdictPart();
      throw error;
    }
    this.#verdictBytes += bytes.length;
    this.#verdictAppends += 1;
    if (this.#verdictAppends >= (this.deps.store.appendsMax ?? Infinity)) this.#nextVerdictPart();
    this.ledgers.addVerdict(line);
    this.#noteFailedAttempt(line);
  }

  #nextVerdictPart(): void {
    this.#verdictPart += 1;
    this.#verdictBytes = 0;
    this.#verdictAppends = 0;
  }

  /** A stop that was asked for through any replica; looked up when woken, and every now and then. */
  async stopAsked(): Promise<boolean> {
    const nowMs = this.deps.clock.monotonicMs();
    if (this.#stopAsked || nowMs - this.#stopCheckedAtMs < Math.min(STOP_LOOK_MS, this.leaseMs / 3))
      return this.#stopAsked;
    this.#stopCheckedAtMs = nowMs;
    this.#stopAsked = (await this.deps.store.size(jobKeys(this.spec.api, this.spec.job).stop)) !== undefined;
    return this.#stopAsked;
  }

  lookForStop(): void {
    this.#stopCheckedAtMs = -Infinity;
  }

  /** The job's time is over by the store's clock; waiting counts. */
  async timedOut(): Promise<boolean> {
    const { timeout_seconds: timeoutSeconds, accepted_at: acceptedAt } = this.spec;
    if (timeoutSeconds === null || this.#timedOut) return this.#timedOut;
    const nowMs = this.deps.clock.monotonicMs();
    if (nowMs - this.#timeCheckedAtMs < Math.min(1000, this.leaseMs / 3)) return false;
    this.#timeCheckedAtMs = nowMs;
    this.#timedOut = (await this.deps.store.now()) - acceptedAt >= timeoutSeconds * 1000;
    return this.#timedOut;
  }

  noteSplit(): void {
    this.deps.log.info({ job: this.spec.job, batches: this.splits.batches }, "split grew");
  }

  /** Mean seconds of a batch in its handler; undefined before the first outcome. */
  secondsPerBatch(): number | undefined {
    return this.#outcomes === 0 ? undefined : this.#outcomeSeconds / this.#outcomes;
  }

  #noteOutcome(line: OutcomeLine): void {
    this.#outcomes += 1;
    this.#outcomeSeconds += line.seconds;
    if (line.result === "none") this.#noteFailedAttempt(line);
  }

  #noteFailedAttempt(line: Pick<OutcomeLine, "batch" | "attempt" | "cause">): void {
    if (this.ledgers.fold.isSettled(line.batch) || this.sends.attempt(line.batch) > line.attempt) return;
    const firstMs = line.cause === "input_unreachable" ? UNREACHABLE_FIRST_MS : RETRY_FIRST_MS;
    const waitMs = Math.min(this.leaseMs, firstMs * 2 ** (line.attempt - 1));
    this.sends.retries.set(line.batch, this.deps.clock.monotonicMs() + waitMs);
  }
}
