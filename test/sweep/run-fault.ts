import { readState } from "../../services/batch-api/jobs/state-record.ts";
import type { JobState } from "../../services/protocol/states.ts";
import { Cluster } from "../simulation/cluster.ts";
import { endProblems } from "../simulation/end-state.ts";
import { API } from "../simulation/workload.ts";
import { PlannedFault } from "./planned-fault.ts";
import { FAULT_LEASES, FAULTS, type Fault, type SweptCall } from "./single-fault.ts";
import { SWEPT_JOBS, sweptPlan, type SweptJob, type SweptJobName } from "./swept-jobs.ts";

export interface SweptRun {
  readonly calls: readonly SweptCall[];
  readonly problems: readonly string[];
  /** Virtual time from the fault to the end of it all, leases. */
  readonly leases: number;
  last(lines: number): string[];
}

/** From the fault's end to a final job, its workers gone and its lane free: L1, and what the job itself takes. */
const LEASES_MAX = 6;

/**
 * Runs a job once with the fault at its n-th call (from 0), or, to hear of its calls, as if there were one; judges it.
 * `told` keeps its story in words.
 */
export async function runFault(job: SweptJobName, fault: Fault, at?: number, { told = false } = {}): Promise<SweptRun> {
  const planned = new PlannedFault(at, at === undefined ? undefined : fault);
  const { excuses } = FAULTS[fault];
  // so small that it never comes true: it only tells the watch what it may not take for a fault of ours
  const rates = Object.fromEntries(excuses.map((name) => [name, Number.MIN_VALUE]));
  const cluster = new Cluster(sweptPlan(job, rates, planned), { told, exact: told || (at ?? 0) % 8 === 0 });
  const { world } = cluster;
  await judged(cluster, job, told);
  const { leases: ownLeases = 0 }: SweptJob = SWEPT_JOBS[job];
  const leases = (world.nowMs - (planned.firedAtMs ?? 0)) / world.leaseMs;
  if (at !== undefined && planned.firedAtMs === undefined) world.broken("the fault did not come");
  if (leases > LEASES_MAX + ownLeases + leasesOf(fault)) world.broken(`L1: it took ${leases.toFixed(1)} leases from the fault to the end`); // prettier-ignore
  const { violations: problems } = world.story;
  return { calls: planned.calls, problems, leases, last: (lines) => world.story.last(lines) };
}

/** Runs it to its end and holds what is there against the invariants. */
async function judged(cluster: Cluster, job: SweptJobName, told: boolean): Promise<void> {
  const { world } = cluster;
  const onRejection = (error: unknown) => {
    world.broken(`nobody hears of an error: ${error instanceof Error ? (error.stack ?? "") : String(error)}`);
  };
  const { stackTraceLimit } = Error;
  if (!told) Error.stackTraceLimit = 0; // traces of errors that are meant to come are most of the time
  process.on("unhandledRejection", onRejection);
  try {
    await cluster.run();
    if (world.story.violations.length > 0) return;
    const problems = [...(await endProblems(cluster)), ...(await outcomeProblems(cluster, job))];
    for (const problem of problems) world.broken(problem);
  } finally {
    process.off("unhandledRejection", onRejection);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function leasesOf(fault: Fault): number {
  if (fault === "lands late") return FAULT_LEASES.late;
  if (fault === "slow") return FAULT_LEASES.slow;
  return fault.startsWith("frozen") ? FAULT_LEASES.frozen : 0;
}

/** One fault costs no item: what can succeed does. */
async function outcomeProblems(cluster: Cluster, job: SweptJobName): Promise<string[]> {
  const ends: readonly JobState[] = SWEPT_JOBS[job].ends;
  const { itemsFailed } = SWEPT_JOBS[job];
  const problems: string[] = [];
  for (const { id, name, planned } of cluster.jobs) {
    if (id === undefined) continue;
    const { state, counts } = (await readState(cluster.store, API, id)).state;
    if (!ends.includes(state)) problems.push(`job ${name} is ${state}`);
    if (state !== "completed_with_failures") continue;
    const ok = counts?.items_succeeded === planned.items.length - itemsFailed && counts.items_failed === itemsFailed;
    if (!ok) problems.push(`job ${name} has other counts than its handler gives: ${JSON.stringify(counts)}`);
  }
  return problems;
}
