import { JOB_FORMAT, type StateRecord } from "../../protocol/jobs.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { isFinal, type EndCause } from "../../protocol/states.ts";
import { parseStored, UnreadableObject, type DamagedObject } from "../../protocol/stored.ts";
import { FIRST_STATE } from "../jobs/state-record.ts";
import { encodeStored } from "../jobs/stored.ts";
import { countsOf } from "./counts.ts";
import { beginCompleting } from "./finish.ts";
import type { RunningJob } from "./running-job.ts";

export function damageCause({ message }: DamagedObject): EndCause {
  return { kind: "failed", reason: "store_damaged", message };
}

/** Ends a job whose end cannot be computed, because what it counts from is damaged: failed, with no manifest. */
export async function endDamaged(job: RunningJob, damage: DamagedObject): Promise<void> {
  const { api, job: id } = job.spec;
  const cause = damageCause(damage);
  await beginCompleting(job, cause);
  await job.lease.update({ stop: true });
  await job.state.write((record) => {
    if (isFinal(record.state)) return undefined;
    const counts = record.counts ?? countsOf(job.ledgers.fold.counts, job.splits);
    return { state: "failed", cause, message: damage.message, counts };
  });
  await job.deps.store.put(apiKeys(api).endedJob(job.state.record.state, id), Buffer.alloc(0));
}

/** Ends a job that nobody can drive, because its own spec or state is damaged; for a stop that was asked for. */
export async function giveUp(store: ObjectStore, api: string, job: string, damage: UnreadableObject): Promise<void> {
  const key = jobKeys(api, job).state;
  const found = await store.read(key);
  const known = found === undefined ? undefined : stateOrNone(key, found.bytes);
  if (known === undefined || !isFinal(known.state)) {
    const now = await store.now();
    const state: StateRecord = {
      ...(known ?? { ...FIRST_STATE, writes: now }), // more than it was ever written: no two values are alike
      ...{ state: "failed", cause: { kind: "failed", reason: "store_damaged", message: damage.message } },
      ...{ lane: null, message: damage.message, live: null },
    };
    const next = { ...state, at: { ...state.at, failed: now }, writes: state.writes + 1 };
    if ((await store.swap(key, encodeStored(next), found?.version)) === undefined) return; // looked at again
  }
  await store.put(apiKeys(api).endedJob(known !== undefined && isFinal(known.state) ? known.state : "failed", job), Buffer.alloc(0)); // prettier-ignore
  await store.delete(apiKeys(api).activeJob(job));
}

function stateOrNone(key: string, bytes: Buffer): StateRecord | undefined {
  try {
    return parseStored<StateRecord>(key, bytes, JOB_FORMAT);
  } catch (error) {
    if (error instanceof UnreadableObject) return undefined; // it is overwritten
    throw error;
  }
}
