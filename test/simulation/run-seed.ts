import { Cluster } from "./cluster.ts";
import { drawPlan } from "./cluster-plan.ts";
import { endProblems } from "./end-state.ts";

export interface SeedRun {
  readonly seed: number;
  readonly jobs: number;
  readonly violations: readonly string[];
  readonly counters: ReadonlyMap<string, number>;
  /** Equal for equal runs. */
  readonly hash: string;
  readonly events: number;
  readonly summary: string;
  /** The newest lines of its story; none unless it was told. */
  last(lines: number): string[];
}

/**
 * Runs one seed to its end and judges it. The same seed is the same run, event by event, told or not: `told` keeps the
 * story of it in words, and costs twice the time.
 */
export async function runSeed(seed: number, { told = false }: { readonly told?: boolean } = {}): Promise<SeedRun> {
  // An error that is heard of, only too late, is found in each eighth run.
  const cluster = new Cluster(drawPlan(seed), { told, exact: told || seed % 8 === 0 });
  const { world } = cluster;
  const onRejection = (error: unknown) => {
    world.broken(
      `nobody hears of an error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  };
  const { stackTraceLimit } = Error;
  if (!told) Error.stackTraceLimit = 0; // each lost reply is an error, and its trace is the most of it
  process.on("unhandledRejection", onRejection);
  try {
    await cluster.run();
    if (world.story.violations.length === 0) for (const problem of await endProblems(cluster)) world.broken(problem);
  } finally {
    process.off("unhandledRejection", onRejection);
    Error.stackTraceLimit = stackTraceLimit;
  }
  const states = cluster.jobs.map((job) => `${job.name} ${job.state}`).join(", ");
  const { timeline, story } = world;
  return {
    seed,
    jobs: cluster.jobs.length,
    violations: story.violations,
    counters: story.counters,
    hash: [timeline.hash, world.chance.next(), world.pace.next()].map((part) => (part >>> 0).toString(16)).join("-"),
    events: timeline.events,
    summary: `${states}; ${String(timeline.events)} events, ${(world.nowMs / 1000).toFixed(1)} s, faults until ${(cluster.faultsEndMs / 1000).toFixed(1)} s`,
    last: (lines) => story.last(lines),
  };
}
