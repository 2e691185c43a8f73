/** A stop asked for: durable when it is answered, carried out by the driver. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import { isFinal } from "../../protocol/states.ts";
import { UnreadableObject } from "../../protocol/stored.ts";
import { readState } from "./state-record.ts";
import { encodeStored } from "./stored.ts";
import { endedState } from "./damaged-view.ts";
import { readSpec } from "./view.ts";

/** Asking twice is asking once. Throws `Problem` (job_not_found, job_is_final). */
export async function askStop(store: ObjectStore, api: string, job: string): Promise<void> {
  try {
    await readSpec(store, api, job);
    const { state } = await readState(store, api, job);
    if (isFinal(state.state)) {
      throw new Problem("job_is_final", `Job ${job} has ended (${state.state}): there is nothing to stop.`);
    }
  } catch (error) {
    if (!(error instanceof UnreadableObject)) throw error; // a stop is how one gets rid of a job that is damaged
    if ((await endedState(store, api, job)) !== undefined) throw error;
  }
  await store.put(jobKeys(api, job).stop, encodeStored({ at: await store.now() }));
}
