import type { ObjectStore } from "../../backends/object-store.ts";
import type { JobSpec } from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import type { EndCause, FinalState } from "../../protocol/states.ts";
import { swapState, type StoredState } from "../jobs/state-record.ts";
import type { SplitSource } from "./context.ts";
import { makeCut } from "./cut.ts";
import { endCause, finalState } from "./finish.ts";
import { closeCompletion } from "./hook.ts";
import { LedgerReader } from "./ledger-reader.ts";
import { FinalResults } from "./manifest.ts";
import { SplitReader } from "./split-reader.ts";

/** Why a job that has no lane ends without one: a stop, or its timeout. */
export async function endOfWaiting(
  store: ObjectStore,
  spec: JobSpec,
  stored: StoredState,
): Promise<Exclude<EndCause, { kind: "settled" }> | undefined> {
  const { cause } = stored.state;
  if (cause !== null) return cause.kind === "settled" ? undefined : cause;
  if ((await store.size(jobKeys(spec.api, spec.job).stop)) !== undefined) return { kind: "stopped" };
  if (spec.timeout_seconds === null) return undefined;
  const waitedMs = (await store.now()) - spec.accepted_at;
  return waitedMs >= spec.timeout_seconds * 1000 ? { kind: "timed_out" } : undefined;
}

/**
 * Ends a job that has no lane, in the same steps as a driver does. Any replica may do it, several at once: every step is
 * put-if-absent or compare-and-swap. A lost race is left to the next look. Answers the final state when it was this call
 * that wrote it.
 */
export async function endWaiting(
  store: ObjectStore,
  spec: JobSpec,
  stored: StoredState,
  cause: Exclude<EndCause, { kind: "settled" }>,
  splitter: SplitSource,
): Promise<FinalState | undefined> {
  const { api, job } = spec;
  const completing =
    stored.state.state === "completing"
      ? stored
      : await swapState(store, api, job, stored, {
          state: "completing",
          cause,
          lane: null,
          message: "writing results",
        });
  if (completing === undefined) return undefined;
  const splits = new SplitReader(store, api, job, spec.input.batch_size);
  await splits.refresh();
  if (!splits.complete) await splitter.endEarly();
  await splits.refresh();
  const { attempts } = spec;
  const ledgers = new LedgerReader({ store, api, job, attempts, itemsOf: (batch) => splits.itemsOf(batch) });
  const final = await FinalResults.read(store, spec, splits, await makeCut(store, api, job, ledgers));
  await final.write();
  const ended = await closeCompletion(store, spec, cause.kind);
  const { state, message } = finalState(cause, ended, final.counts);
  const counts = final.counts;
  const done = await swapState(store, api, job, completing, { state, message, counts, cause: endCause(cause, ended) });
  if (done === undefined) return undefined;
  await store.put(apiKeys(api).endedJob(state, job), Buffer.alloc(0));
  await store.delete(apiKeys(api).activeJob(job));
  return state;
}
