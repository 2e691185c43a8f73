import type { Clock } from "../../backends/clock.ts";
import type { DriverDeps } from "./context.ts";
import type { LaneLease } from "./lane-lease.ts";
import { isOutside } from "./retries.ts";

/**
 * Ends the workers that a job has on its lane. That may take many leases: their grace, and more where a node does not answer.
 * The lane is kept meanwhile: otherwise replicas take it from each other, each begins anew, and no other job ever gets it.
 *
 * Throws `Deposed` when the lane was lost all the same, and what the pool throws. Once `leaving` aborts, the lane is kept no more.
 */
export async function endWorkers(
  { pool, queue, clock }: DriverDeps,
  job: string,
  lease: LaneLease,
  leaving: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const stopping = pool.stop(job, lease.record.epoch).finally(() => {
    gone.abort();
  });
  const everyMs = (queue.leaseSeconds * 1000) / 3;
  await Promise.all([stopping, keepLane(lease, clock, everyMs, AbortSignal.any([gone.signal, leaving]))]);
}

async function keepLane(lease: LaneLease, clock: Clock, everyMs: number, until: AbortSignal): Promise<void> {
  for (;;) {
    await clock.sleep(everyMs, until).catch(() => undefined); // over: looked at next
    if (until.aborted) return;
    try {
      await lease.update({ beat: lease.record.beat + 1 });
    } catch (error) {
      if (!isOutside(error)) throw error; // a store that does not answer leaves the lane ours
    }
  }
}
