import { carried, type BatchMessage } from "../../protocol/messages.ts";
import { decide, poolOf, type DriverAction } from "../../protocol/decide.ts";
import type { DriverFacts, WorkerFact } from "../../protocol/driver-facts.ts";
import { isolates } from "../../protocol/jobs.ts";
import { parseWorkerName, queueLane } from "../../protocol/keys.ts";
import type { EndCause } from "../../protocol/states.ts";
import { holds, type WorkerFacts } from "../../protocol/worker-facts.ts";
import { PoolRefused, type PoolWorker } from "../../backends/worker-pool.ts";
import type { RunningJob } from "./running-job.ts";

/**
 * One look at a running job, and one step for it: gather facts, decide, act. Answers the end's cause when the work is over.
 */
export async function tick(job: RunningJob): Promise<EndCause | undefined> {
  const facts = await gather(job);
  const again: Resend[] = [];
  for (const action of decide(facts)) {
    if (action.kind === "complete") return action.cause;
    if (action.kind === "resend") again.push(action);
    else await act(job, action);
  }
  for (let at = 0; at < again.length; at += RESENDS_AT_ONCE) {
    await resend(job, again.slice(at, at + RESENDS_AT_ONCE));
    job.moved();
  }
  return undefined;
}

type Resend = Extract<DriverAction, { kind: "resend" }>;

/** As many as one send of new pointers has: one call of the queue, yet no step that takes a lease. */
const RESENDS_AT_ONCE = 4096;

/** What is known of the job now. */
export async function gather(job: RunningJob): Promise<DriverFacts> {
  const nowMs = job.deps.clock.monotonicMs();
  if (await job.splits.refresh()) job.noteSplit();
  for (const worker of await job.ledgers.refreshLedgers()) job.grownAtMs.set(worker, job.deps.clock.monotonicMs());
  const poolWorkers = await job.askPool((pool) => pool.workers(job.spec.job, job.lease.record.epoch));
  job.poolWorkers = poolWorkers;
  for (const { worker, phase } of poolWorkers)
    if (worker !== undefined && phase === "ended") job.endedWorkers.add(worker);
  const { epoch, keep } = job.lease.record;
  const generations = job.poolWatch.facts(poolWorkers, keep, job.ledgers.workers, epoch, nowMs);
  for (const facts of job.ledgers.workers.values()) job.beats.polled(facts.worker, facts.polled);
  const { batches, complete } = job.splits;
  const { spec, ledgers, sends } = job;
  return {
    nowMs,
    leaseMs: job.leaseMs,
    attempts: spec.attempts,
    workers: spec.workers,
    stopAsked: await job.stopAsked(),
    timedOut: await job.timedOut(),
    splitFailure: job.splitFailure,
    poolRefusal: job.poolRefusal,
    split: { batches, complete },
    fold: ledgers.fold,
    sends,
    workerFacts: workerFacts(job, poolWorkers, nowMs),
    generations,
    twoPollsAfterMs: job.beats.twoPollsAfterMs,
    pollsNew: job.beats.takeNews(),
    verdicts: ledgers.verdicts,
    judged: ledgers.judged,
    isolatedItems: isolates(spec) ? (batch) => job.splits.itemsOf(batch) : undefined,
    secondsPerBatch: job.secondsPerBatch(),
  };
}

function workerFacts(job: RunningJob, poolWorkers: readonly PoolWorker[], nowMs: number): WorkerFact[] {
  const byName = new Map(poolWorkers.map((worker) => [worker.worker, worker]));
  return [...job.ledgers.workers.values()].map((facts) => {
    return workerFact(job, facts, byName.get(facts.worker), nowMs);
  });
}

function workerFact(job: RunningJob, facts: WorkerFacts, pooled: PoolWorker | undefined, nowMs: number): WorkerFact {
  const name = parseWorkerName(facts.worker);
  const current = name.epoch === job.lease.record.epoch;
  const grownAtMs = job.grownAtMs.get(facts.worker) ?? 0;
  return {
    worker: facts.worker,
    current,
    generation: name.generation,
    ready: facts.hook !== undefined,
    startFailed: facts.startFailed,
    fresh: !facts.left && pooled?.phase !== "ended" && nowMs - grownAtMs < 2 * job.leaseMs,
    // A whole epoch ends when its service or its lane went away: that charges no batch.
    disrupted: !current || pooled?.disrupted === true,
    lastWordMs: grownAtMs,
    holds: (batch) => holds(facts, batch),
    open: facts.open,
  };
}

async function act(job: RunningJob, action: Exclude<DriverAction, { kind: "complete" | "resend" }>): Promise<void> {
  switch (action.kind) {
    case "verdict":
      await job.writeVerdict(action.line);
      return;
    case "send":
      await sendNew(job, action.from, action.to);
      return;
    case "start":
      await start(job, action.generation, action.workers);
      return;
    case "keep":
      await keep(job, action);
      return;
  }
}

async function sendNew(job: RunningJob, from: number, to: number): Promise<void> {
  // First the mark, then the sends: who takes over counts these as sent, and suspicion brings what was not.
  if (job.state.record.sent_through < to) await job.state.write(() => ({ sent_through: to }));
  const messages: BatchMessage[] = [];
  for (let batch = from; batch < to; batch += 1) {
    if (job.ledgers.fold.isSettled(batch)) continue;
    messages.push(await message(job, batch, job.ledgers.fold.nextAttempt(batch), false));
  }
  await send(job, messages);
  job.sends.through = to;
}

async function resend(job: RunningJob, again: readonly Resend[]): Promise<void> {
  const messages: BatchMessage[] = [];
  for (const { batch, attempt, alone } of again) messages.push(await message(job, batch, attempt, alone));
  await send(job, messages);
}

async function send(job: RunningJob, messages: readonly BatchMessage[]): Promise<void> {
  let left = messages;
  for (let tries = 0; left.length > 0 && tries < 5; tries += 1) {
    const refused = await job.deps.queue.send(queueLane(job.spec.api, job.lease.lane), left);
    left = refused.flatMap((index) => left[index] ?? []);
  }
  // What was refused five times counts as sent all the same: suspicion brings it again.
  const nowMs = job.deps.clock.monotonicMs();
  for (const { batch, attempt } of messages) job.sends.sent(batch, attempt, nowMs);
}

async function message(job: RunningJob, batch: number, attempt: number, alone: boolean): Promise<BatchMessage> {
  const { pointer, firstItem } = await job.splits.pointer(batch);
  return {
    kind: "batch",
    format: 1,
    job: job.spec.job,
    epoch: job.lease.record.epoch,
    batch,
    attempt,
    first_item: firstItem,
    pointer: carried(pointer),
    ...(alone ? { alone } : {}),
  };
}

async function start(job: RunningJob, generation: number, workers: number): Promise<void> {
  if (!(await job.codeIsReady())) return;
  const { keep: before } = job.lease.record;
  // The number is taken before anything starts, so that no other driver gives it to another generation.
  if (before[String(generation)] === undefined) {
    await job.lease.update({ keep: { ...before, [String(generation)]: workers } });
  }
  try {
    await job.deps.pool.start(job.generationName(generation), workers);
  } catch (error) {
    if (!(error instanceof PoolRefused)) throw error;
    job.poolRefusal = error.message;
  }
}

/** Only the pool's part of a tick: while the completion hook waits for a worker. */
export async function keepPool(job: RunningJob, facts: DriverFacts): Promise<void> {
  for (const action of poolOf(facts)) await act(job, action);
}

async function keep(job: RunningJob, wanted: Extract<DriverAction, { kind: "keep" }>): Promise<void> {
  const { keep: before, hand } = job.lease.record;
  const key = String(wanted.generation);
  const grows = wanted.workers > (before[key] ?? 0);
  const keepChanges = before[key] !== wanted.workers;
  // The hand is a hint: small changes wait for the next beat.
  const handChanges = wanted.hand > hand * 1.5 || wanted.hand < hand / 1.5;
  if (!keepChanges && !handChanges) return;
  await job.lease.update({ keep: { ...before, [key]: wanted.workers }, hand: wanted.hand });
  if (grows) await job.deps.pool.resize(job.generationName(wanted.generation), wanted.workers);
}
