import type { ErrorRow } from "../../services/protocol/jobs.ts";
import type { FaultRates } from "./faults.ts";
import type { UserJob } from "./user-job.ts";

/** What a handler does by itself: no fault of the cluster looks like it. */
const DEEDS: Readonly<Partial<Record<string, string>>> = { raised: "raise", exited: "exit" };

/**
 * I14: an item is charged with what its handler did over it, and its neighbours are not where the batch could be taken apart.
 * Deaths are judged where no worker dies but by its handler's doing.
 */
export function chargeProblem({ planned }: UserJob, row: ErrorRow, rates: FaultRates): string | undefined {
  const { script, submission, batchSize, items } = planned;
  const bad = script.deeds.get(row.batch);
  const deed = row.cause === "worker_died" && workersLive(rates) ? "kill the worker" : DEEDS[row.cause];
  if (deed === undefined) return undefined;
  const wrong = (why: string) => `I14: item ${String(row.index)} failed with ${row.cause}, and ${why}`;
  if (bad?.first.includes(deed as (typeof bad.first)[number]) !== true) return wrong("its batch does no such thing");
  if (submission.isolate === false || bad.item === undefined) return undefined;
  const guilty = Math.min(row.batch * batchSize + bad.item, items.length - 1);
  return row.index === guilty ? undefined : wrong(`item ${String(guilty)} of its batch did it`);
}

/** Nothing ends, freezes, cuts off or breaks a worker. */
function workersLive(rates: FaultRates): boolean {
  const { crashWorker, freeze, slow, late, lostReply, lostRequest, cutOff, poolGone, laneGone, startFails } = rates;
  return crashWorker + freeze + slow + late + lostReply + lostRequest + cutOff + poolGone + laneGone + startFails === 0;
}
