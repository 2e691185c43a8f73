import type { Clock } from "../../backends/clock.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import type { JobService } from "./job-service.ts";

const LOOK_MS = 200;

/** Stops all of an API's jobs; resolves when each has its final state, and nothing of it runs. */
export async function stopAllJobs(store: ObjectStore, jobs: JobService, clock: Clock, api: string): Promise<void> {
  const prefix = apiKeys(api).active;
  for (;;) {
    // The markers, not the door's list: an API that is being removed is not there any more to the door.
    const { entries } = await store.list(prefix);
    if (entries.length === 0) return;
    for (const { key } of entries) {
      await jobs.stop(api, key.slice(prefix.length)).catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error; // it ended by itself meanwhile
      });
    }
    await clock.sleep(LOOK_MS);
  }
}
