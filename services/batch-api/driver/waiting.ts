import type { ObjectStore } from "../../backends/object-store.ts";
import type { JobSpec } from "../../protocol/jobs.ts";
import { swapState } from "../jobs/state-record.ts";
import type { WaitingJob } from "./active-jobs.ts";

/**
 * The order in which lanes are granted: by priority, then age. Every fourth epoch of a lane goes by age alone, so that a
 * stream of urgent jobs starves nobody.
 */
export function byGrant(nextEpoch: number): (a: JobSpec, b: JobSpec) => number {
  const ageAlone = nextEpoch % 4 === 0;
  return (a, b) => {
    if (!ageAlone && a.priority !== b.priority) return b.priority - a.priority;
    return a.accepted_at - b.accepted_at || (a.job < b.job ? -1 : 1);
  };
}

/** Why jobs wait though a lane is free: a sentence for each free lane that could not be granted, by its number. */
export type LaneFaults = ReadonlyMap<number, string>;

/** Tells waiting jobs in their state that no lane can be used, and why; every replica shows it. */
export class WaitingTold {
  readonly #store: ObjectStore;
  /** What this replica told last, by API and job, so that two that see different faults do not overwrite each other for ever. */
  readonly #told = new Map<string, ReadonlyMap<string, string>>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** `waiting`: all of an API's. Writes only what changes. A job that was granted meanwhile keeps the message of its driver. */
  async tell(api: string, waiting: readonly WaitingJob[], faults: LaneFaults): Promise<void> {
    const wanted = faultMessage(faults);
    const before = this.#told.get(api);
    const told = new Map<string, string>(); // who waits no more is forgotten
    this.#told.set(api, told);
    for (const { spec, stored } of waiting) {
      const { job } = spec;
      const last = before?.get(job);
      if (last !== undefined) told.set(job, last);
      if (stored.state.state !== "pending" || stored.state.message === wanted || last === wanted) continue;
      if ((await swapState(this.#store, api, job, stored, { message: wanted })) === undefined) continue;
      if (wanted === "") told.delete(job);
      else told.set(job, wanted);
    }
  }
}

/** Empty when there are none. */
function faultMessage(faults: LaneFaults): string {
  if (faults.size === 0) return "";
  const lanes = [...faults].map(([lane, sentence]) => `lane ${String(lane)}: ${sentence}`);
  return `Waits for a lane, and none that is free can be used: ${lanes.join("; ")}`;
}
