/** A driver's first acts, before its loops. */
import { DamagedObject } from "../../protocol/stored.ts";
import { endDamaged } from "./end-damaged.ts";
import type { JobState } from "./job-state.ts";
import { Deposed, type LaneLease } from "./lane-lease.ts";
import type { RunningJob } from "./running-job.ts";

/** Our name in the state. False: the job lives on another lane. */
export async function putName(state: JobState, lease: LaneLease): Promise<boolean> {
  if (await state.livesElsewhere()) return false;
  const { epoch } = lease.record;
  try {
    await state.write((record) => {
      const isSameEpoch = record.lane?.epoch === epoch && record.lane.lane === lease.lane;
      return {
        state: record.state === "pending" ? "running" : record.state,
        sent_through: isSameEpoch ? record.sent_through : 0,
        message: "",
      };
    });
    return true;
  } catch (error) {
    if (error instanceof Deposed && (await state.livesElsewhere())) return false;
    throw error;
  }
}

/** All that was written before. False: it is damaged, and the job has ended for it. */
export async function readAll(job: RunningJob): Promise<boolean> {
  const { splits, ledgers, sends } = job;
  try {
    await splits.refresh();
    await ledgers.refreshVerdicts();
    await ledgers.refreshLedgers();
  } catch (error) {
    if (!(error instanceof DamagedObject)) throw error;
    await endDamaged(job, error);
    return false;
  }
  const nowMs = job.deps.clock.monotonicMs();
  const sentThrough = Math.min(job.state.record.sent_through, splits.batches);
  for (const worker of ledgers.workers.keys()) job.grownAtMs.set(worker, nowMs);
  sends.retries.clear();
  // A takeover counts all, the next attempts of failed ones included, as sent now; suspicion finds what was not.
  for (let batch = 0; batch < sentThrough; batch += 1) sends.sent(batch, ledgers.fold.nextAttempt(batch), nowMs);
  sends.through = sentThrough;
  return true;
}
