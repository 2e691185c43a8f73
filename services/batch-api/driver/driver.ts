import { LaneGone } from "../../backends/batch-queue.ts";
import type { JobSpec, LiveFacts } from "../../protocol/jobs.ts";
import { apiKeys, queueLane } from "../../protocol/keys.ts";
import { isFinal, type EndCause } from "../../protocol/states.ts";
import type { DriverDeps } from "./context.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { putName, readAll } from "./claim.ts";
import { damageCause, endDamaged } from "./end-damaged.ts";
import { endWorkers } from "./end-workers.ts";
import { beginCompleting, finish } from "./finish.ts";
import { JobState } from "./job-state.ts";
import type { LaneLease } from "./lane-lease.ts";
import { liveFacts } from "./live.ts";
import { backoffMs, FAILURES_MAX, isOurEnd, isOutside } from "./retries.ts";
import { RunningJob } from "./running-job.ts";
import { SplitLoop } from "./split-loop.ts";
import { tick } from "./tick.ts";
import { Wake } from "./wake.ts";
import { stoodDownCount } from "./warnings.ts";

/** A loop of this process has not moved for so long, while its beat would have gone on: the process must end. */
export class Stalled extends Error {
  override readonly name = "Stalled";
}

/** The pool or the queue was out of this replica's reach for a lease: another replica may do better. */
export class CutOff extends Error {
  override readonly name = "CutOff";
}

/** Drives one job on one lane, from the grant (or a takeover) to its final state. */
export class Driver {
  readonly spec: JobSpec;
  readonly #deps: DriverDeps;
  readonly #lease: LaneLease;
  readonly #wake: Wake;
  readonly #split: SplitLoop;
  #job: RunningJob | undefined;
  #failingSinceMs: number | undefined;
  #toldAtMs = -Infinity;

  constructor(deps: DriverDeps, spec: JobSpec, lease: LaneLease) {
    this.#deps = deps;
    this.spec = spec;
    this.#lease = lease;
    this.#wake = new Wake(deps.clock);
    this.#split = new SplitLoop(deps, spec);
  }

  /** Undefined until the driver has read what there is. */
  live(): LiveFacts | undefined {
    return this.#job === undefined ? undefined : liveFacts(this.#job);
  }

  /** Something happened that is worth a look: an ack, a worker's end. */
  wake(): void {
    this.#wake.call();
  }

  /** A stop was asked for. */
  lookForStop(): void {
    this.#job?.lookForStop();
    this.#wake.call();
  }

  /** Ends when the job is final and its lane is free. Throws `Deposed`, `Stalled`, `CutOff`, or what broke. A lane that is gone is left. */
  async run(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const scope = AbortSignal.any([signal, over.signal]);
    const job = await this.#claim(signal).catch((error: unknown) => this.#setAside(error, signal));
    if (job === undefined) return;
    this.#job = job;
    if (!(await readAll(job))) {
      await this.#free(signal);
      return;
    }
    const loops = [this.#beat(job, scope), this.#splitUp(job, scope)];
    const work = this.#work(job, scope);
    try {
      await Promise.race([work, ...loops.map(forever)]);
    } catch (error) {
      if (signal.aborted) await this.#handOver([work, ...loops]);
      if (!(error instanceof LaneGone || error instanceof DamagedObject)) throw error;
      over.abort();
      await Promise.allSettled([work, ...loops]); // a look that is under way must not end a job that waits for another lane
      if (error instanceof DamagedObject) await this.#setAside(error, signal);
      else await this.#leaveLane(job, error, signal);
      return;
    } finally {
      over.abort();
      await Promise.allSettled(loops);
    }
    await this.#free(signal);
  }

  /** This process leaves: with no owner named, another replica need not watch the lane for a lease first. */
  async #handOver(loops: readonly Promise<void>[]): Promise<void> {
    await Promise.allSettled(loops);
    await this.#lease.update({ owner: "" }).catch(() => undefined); // then the others take the longer way
  }

  /** The queue is not there any more: the job waits for another lane, and goes on there in a new epoch. */
  async #leaveLane(job: RunningJob, { message }: LaneGone, signal: AbortSignal): Promise<void> {
    this.#deps.log.warn({ job: this.spec.job, lane: this.#lease.lane }, message);
    await job.state.write((record) => {
      return record.state === "running" ? { state: "pending", message } : undefined;
    });
    await endWorkers(this.#deps, this.spec.job, this.#lease, signal);
    await this.#freeLane();
  }

  /** The job's own state cannot be read, so nothing can be told of it: it waits without a lane, which serves others. */
  async #setAside(error: unknown, signal: AbortSignal): Promise<undefined> {
    if (!(error instanceof DamagedObject)) throw error;
    this.#deps.log.warn({ job: this.spec.job, err: error }, "the job is set aside until its state is mended");
    await endWorkers(this.#deps, this.spec.job, this.#lease, signal);
    await this.#freeLane();
    return undefined;
  }

  /** The first act: our name in the state. Undefined when the job needs no driver on this lane, which then is free. */
  async #claim(signal: AbortSignal): Promise<RunningJob | undefined> {
    const { epoch, term } = this.#lease.record;
    const owner = { lane: this.#lease.lane, epoch, term };
    const { store } = this.#deps;
    const state = await JobState.read(store, this.spec.api, this.spec.job, owner);
    if (isFinal(state.record.state)) {
      await store.put(apiKeys(this.spec.api).endedJob(state.record.state, this.spec.job), Buffer.alloc(0));
      await this.#free(signal);
      return undefined;
    }
    if (!(await putName(state, this.#lease))) {
      await this.#freeLane();
      return undefined;
    }
    this.#deps.log.info({ job: this.spec.job, lane: owner.lane, epoch, term }, "driving");
    return new RunningJob(this.#deps, this.spec, this.#lease, state);
  }

  async #work(job: RunningJob, signal: AbortSignal): Promise<void> {
    const { tickMinMs, tickMs, clock } = this.#deps;
    let [tries, failures] = [0, 0];
    let cause = job.state.record.cause ?? undefined; // a takeover of a job that is completing goes on with its end
    for (;;) {
      signal.throwIfAborted();
      try {
        cause ??= await tick(job);
        signal.throwIfAborted();
        job.rate.note(job.ledgers.fold.counts.itemsSucceeded + job.ledgers.fold.counts.itemsFailed);
        if (cause !== undefined) {
          await this.#end(job, cause, signal);
          return;
        }
        job.troubles.worked("work");
        await this.#tell(job);
        [tries, failures] = [0, 0];
      } catch (error) {
        signal.throwIfAborted();
        if (isOurEnd(error) || error instanceof LaneGone) throw error;
        tries += 1;
        if (job.troubles.note("work", error)) failures += 1;
        await this.#tell(job).catch(() => undefined); // it is the store that fails, and the next step hears of it
        await clock.sleep(backoffMs(tries), signal);
        if (failures > FAILURES_MAX) {
          if (error instanceof DamagedObject && cause !== undefined) {
            await endDamaged(job, error);
            return;
          }
          if (job.state.record.state !== "completing") cause = internal(error);
        }
      }
      job.moved();
      await this.#wake.pause(tickMinMs, tickMs, signal);
    }
  }

  /** Writes what is known of the job into its state now and then, where other replicas answer for it too. */
  async #tell(job: RunningJob): Promise<void> {
    const { tellMs, clock } = this.#deps;
    if (tellMs === undefined || clock.monotonicMs() - this.#toldAtMs < tellMs) return;
    this.#toldAtMs = clock.monotonicMs();
    const live = liveFacts(job);
    if (JSON.stringify(live) === JSON.stringify(job.state.record.live)) return;
    await job.state.write((record) => (isFinal(record.state) ? undefined : { live }));
  }

  async #end(job: RunningJob, cause: EndCause, signal: AbortSignal): Promise<void> {
    const { tickMinMs, tickMs, say } = this.#deps;
    const decided = await beginCompleting(job, cause);
    if (!job.splits.complete) await this.#split.endEarly();
    const pause = async () => {
      job.moved();
      await this.#tell(job);
      await this.#wake.pause(tickMinMs, tickMs, signal);
    };
    await finish(job, decided, pause, signal);
    say(this.spec, `job ended: ${job.state.record.state}`);
  }

  async #splitUp(job: RunningJob, signal: AbortSignal): Promise<void> {
    try {
      await this.#split.run(job, signal, () => {
        this.#wake.call();
      });
    } finally {
      this.#wake.call();
    }
  }

  /** Renews the lease three times in each; only while the loops of this driver move and the world answers. */
  async #beat(job: RunningJob, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { leaseMs } = job;
    const { stallMs = leaseMs } = this.#deps;
    let roundAtMs = clock.monotonicMs();
    let beat = 0;
    for (;;) {
      await clock.sleep(leaseMs / 3, signal);
      const nowMs = clock.monotonicMs();
      // Far too long a round: the process stood still, or waited for the store, as its other loops did. The write below tells
      // who owns the lane now.
      if (nowMs - roundAtMs > leaseMs) {
        job.moved();
        this.#split.moved();
      }
      if (job.asksPool) job.moved();
      roundAtMs = nowMs;
      const stalled = nowMs - job.movedAtMs > stallMs || (!this.#split.over && nowMs - this.#split.movedAtMs > stallMs);
      if (stalled)
        throw new Stalled(`the driver of job ${this.spec.job} has not moved for ${String(stallMs / 1000)} s`);
      await this.#probe(nowMs, leaseMs);
      beat = Math.max(beat, this.#lease.record.beat) + 1; // one that failed, as far as we could tell, may have landed
      job.beats.written(beat, clock.monotonicMs());
      await this.#writeBeat(job, beat);
      this.#wake.call();
    }
  }

  /** A store that does not answer leaves the lane ours until another replica, which it does answer, takes it. */
  async #writeBeat(job: RunningJob, beat: number): Promise<void> {
    try {
      await this.#lease.update({ beat, stood_down: stoodDownCount(job) });
      job.troubles.worked("beat");
    } catch (error) {
      if (!isOutside(error)) throw error;
      job.troubles.note("beat", error);
    }
  }

  async #probe(nowMs: number, leaseMs: number): Promise<void> {
    try {
      await Promise.all([this.#deps.queue.probe(queueLane(this.spec.api, this.#lease.lane)), this.#deps.pool.probe()]);
      this.#failingSinceMs = undefined;
    } catch (error) {
      if (error instanceof LaneGone) throw error;
      this.#failingSinceMs ??= nowMs;
      if (nowMs - this.#failingSinceMs < leaseMs) return;
      await this.#lease.update({ owner: "" });
      throw new CutOff("the pool or the queue did not answer for a lease", { cause: error });
    }
  }

  /** The job is final: its workers end, its lane is free for the next one, and it is active no more. */
  async #free(signal: AbortSignal): Promise<void> {
    const { api, job } = this.spec;
    await endWorkers(this.#deps, job, this.#lease, signal);
    await this.#freeLane();
    await this.#deps.store.delete(apiKeys(api).activeJob(job));
  }

  async #freeLane(): Promise<void> {
    await this.#lease.update({ job: null, owner: "", keep: {}, stop: true });
  }
}

function internal(error: unknown): EndCause {
  if (error instanceof DamagedObject) return damageCause(error);
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "failed", reason: "internal", message: `the driver could not go on: ${message}` };
}

/** A loop that only ends by failing counts in a race; one that ends well does not. */
async function forever(loop: Promise<void>): Promise<never> {
  await loop;
  return new Promise<never>(() => undefined);
}
