import type { JobSpec } from "../../protocol/jobs.ts";

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
