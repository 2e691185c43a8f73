import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { workerFailure } from "../../protocol/decide.ts";
import type { CompletionRecord, JobCounts } from "../../protocol/jobs.ts";
import { isFinal, type EndCause, type FinalState } from "../../protocol/states.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { makeCut } from "./cut.ts";
import { closeCompletion, CompletionHook } from "./hook.ts";
import { sendDeadLetters } from "./dead-letters.ts";
import { FinalResults } from "./manifest.ts";
import type { RunningJob } from "./running-job.ts";
import { gather, keepPool } from "./tick.ts";
import { warningsOf } from "./warnings.ts";

/**
 * Ends a job whose end is decided: cut, results, hook, final state, then everything that it held is given back. Each step is
 * idempotent, so that whoever takes over goes through all of them again.
 *
 * `pause` waits for news between two looks at the hook; `signal`: this driver leaves.
 */
export async function finish(
  job: RunningJob,
  cause: EndCause,
  pause: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { store } = job.deps;
  const { api, job: id } = job.spec;
  if (cause.kind !== "settled") await job.lease.update({ stop: true });
  await job.splits.refresh();
  const cut = await makeCut(store, api, id, job.ledgers);
  const final = await FinalResults.read(store, job.spec, job.splits, cut, () => {
    job.moved();
  });
  // before anything leaves the store: a letter cannot be taken back
  if (cause.kind === "settled") mustBeSettled(job, final.counts);
  await final.write();
  await sendFailed(job, final, signal);
  const ended =
    cause.kind === "settled" ? await awaitHook(job, pause) : await closeCompletion(store, job.spec, cause.kind);
  const { state, message } = finalState(cause, ended, final.counts);
  await job.state.write((record) => {
    if (isFinal(record.state)) return undefined;
    return { state, message, counts: final.counts, cause: endCause(cause, ended), warnings: warningsOf(job) };
  });
  await store.put(apiKeys(api).endedJob(state, id), Buffer.alloc(0));
}

/** What failed as a whole goes to the queue that the submission named. */
async function sendFailed(job: RunningJob, final: FinalResults, signal: AbortSignal): Promise<void> {
  const { clock, store, deadLetters } = job.deps;
  const warning = await sendDeadLetters(
    {
      ...{ spec: job.spec, store },
      failedFrom: (batch) => final.failedBatches(batch),
      pointer: (batch) => job.splits.pointer(batch),
      onStep: () => {
        job.moved();
        signal.throwIfAborted();
      },
      sleep: (milliseconds) => clock.sleep(milliseconds, signal),
      during: (call) => job.during(call),
    },
    deadLetters,
  );
  if (warning !== undefined) job.notices = [warning];
}

/** The end was decided because all was settled; less than that is left when a ledger was damaged in between. */
function mustBeSettled({ spec }: RunningJob, counts: JobCounts): void {
  const settled = counts.batches_succeeded + counts.batches_failed;
  if (settled === counts.batches) return;
  throw new DamagedObject(jobKeys(spec.api, spec.job).ledgers, `lacks outcomes of ${String(counts.batches - settled)} batches that were counted`); // prettier-ignore
}

/** Until the hook has ended: workers are kept alive for it, and a stop or a timeout may still come before it. */
async function awaitHook(job: RunningJob, pause: () => Promise<void>): Promise<CompletionRecord> {
  const hook = new CompletionHook(job);
  for (;;) {
    const facts = await gather(job);
    await keepPool(job, facts);
    const fresh = new Set(facts.workerFacts.filter((worker) => worker.fresh).map((worker) => worker.worker));
    const failed = workerFailure(facts) === undefined ? undefined : ("failed" as const);
    const closeFor = facts.stopAsked ? ("stopped" as const) : facts.timedOut ? ("timed_out" as const) : failed;
    const ended = await hook.step({ closeFor, isFresh: (worker) => fresh.has(worker) });
    if (ended !== undefined) return ended;
    await pause();
  }
}

/** The final state is a function of the cause, the hook's end and the counts. */
export function finalState(
  cause: EndCause,
  hook: CompletionRecord,
  counts: JobCounts,
): { readonly state: FinalState; readonly message: string } {
  if (cause.kind === "failed") return { state: "failed", message: cause.message };
  if (cause.kind !== "settled") return { state: cause.kind, message: ENDED_EARLY[cause.kind] };
  if (hook.state === "failed") {
    return { state: "failed", message: `on_job_complete failed: ${hook.error}\n${hook.traceback}`.trimEnd() };
  }
  if (hook.state === "closed") {
    if (hook.cause !== "failed") return { state: hook.cause, message: ENDED_EARLY[hook.cause] };
    return { state: "failed", message: "no worker could start to run on_job_complete; read the job's logs" };
  }
  if (counts.items_failed === 0) return { state: "succeeded", message: "every item succeeded" };
  const all = counts.items_succeeded + counts.items_failed;
  return {
    state: "completed_with_failures",
    message: `${String(counts.items_failed)} of ${String(all)} items failed; their errors say why`,
  };
}

const ENDED_EARLY = {
  stopped: "stopped on request; what was finished until then stays readable",
  timed_out: "its timeout ran out; what was finished until then stays readable",
} as const;

/** What ended it, the hook's end included. */
export function endCause(cause: EndCause, hook: CompletionRecord): EndCause {
  if (cause.kind !== "settled") return cause;
  if (hook.state === "failed") return { kind: "failed", reason: "completion_failed", message: hook.error };
  if (hook.state !== "closed") return cause;
  if (hook.cause !== "failed") return { kind: hook.cause };
  return { kind: "failed", reason: "worker_error", message: "no worker could start to run on_job_complete" };
}

/** Moves the state to completing, before anything that follows from the end's decision. */
export async function beginCompleting(job: RunningJob, cause: EndCause): Promise<EndCause> {
  const record = await job.state.write((record) => {
    return record.state !== "running" ? undefined : { state: "completing", cause, message: "writing results" };
  });
  return record.cause ?? cause;
}
