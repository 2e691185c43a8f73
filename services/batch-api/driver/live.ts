import type { LiveFacts, WorkerCounts } from "../../protocol/jobs.ts";
import { wantedWorkers } from "../../protocol/decide.ts";
import { parseWorkerName } from "../../protocol/keys.ts";
import { countsOf } from "./counts.ts";
import type { RunningJob } from "./running-job.ts";
import { stoodDownCount, warningsOf } from "./warnings.ts";

/** What the driver can tell of its job right now, from memory alone. */
export function liveFacts(job: RunningJob): LiveFacts {
  const counts = countsOf(job.ledgers.fold.counts, job.splits);
  const settled = counts.batches_succeeded + counts.batches_failed;
  const running = Math.min(runningBatches(job), counts.batches - settled);
  const itemsLeft = counts.items - counts.items_succeeded - counts.items_failed;
  const perSecond = job.rate.perSecond();
  const workers = workerCounts(job);
  return {
    counts,
    splitting: !job.splits.complete,
    batches_running: running,
    batches_waiting: Math.max(0, counts.batches - settled - running),
    workers,
    items_per_second: Math.round(perSecond * 10) / 10,
    estimated_seconds_left: perSecond > 0 && job.splits.complete ? Math.ceil(itemsLeft / perSecond) : null,
    message: messageOf(job, workers),
    warnings: warningsOf(job),
  };
}

function runningBatches(job: RunningJob): number {
  let batches = 0;
  for (const worker of job.ledgers.workers.values()) {
    if (worker.left || job.endedWorkers.has(worker.worker)) continue;
    for (const [first, last] of worker.held) batches += last - first + 1;
    batches -= Math.min(batches, worker.dropped.size);
  }
  return batches;
}

function workerCounts(job: RunningJob): WorkerCounts {
  const { epoch } = job.lease.record;
  const asked = wantedWorkers({ workers: job.spec.workers, split: job.splits, fold: job.ledgers.fold });
  let pending = 0;
  let ready = 0;
  let running = 0;
  for (const worker of job.poolWorkers) {
    if (worker.phase === "pending") pending += 1;
    if (worker.phase !== "running") continue;
    running += 1;
    if (job.ledgers.workers.get(worker.worker ?? "")?.hook !== undefined) ready += 1;
  }
  let lost = 0;
  for (const facts of job.ledgers.workers.values()) {
    if (parseWorkerName(facts.worker).epoch === epoch && !facts.left && job.endedWorkers.has(facts.worker)) lost += 1;
  }
  return { asked, pending, starting: running - ready, ready, lost, sick: stoodDownCount(job) };
}

function messageOf(job: RunningJob, workers: WorkerCounts): string {
  if (job.troubles.sentence !== "") return job.troubles.sentence;
  if (job.state.record.state === "completing") return "all batches are settled; the completion hook has its turn";
  if (job.codeWait !== "") return job.codeWait;
  if (workers.ready > 0) return "";
  const waiting = job.poolWorkers.find((worker) => worker.waitingFor !== undefined)?.waitingFor;
  if (waiting !== undefined) return waiting;
  const failed = [...job.ledgers.workers.values()].find((worker) => worker.startFailed !== undefined)?.startFailed;
  if (failed !== undefined) return `a worker could not start: ${failed.error}; another one tries`;
  return "workers are starting: the handler is being imported and set up";
}
