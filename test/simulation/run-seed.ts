import { Cluster } from "./cluster.ts";
import { drawPlan } from "./cluster-plan.ts";
import { endProblems } from "./end-state.ts";

export interface SeedRun {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly counters: ReadonlyMap<string, number>;
  readonly hash: string;
  readonly events: number;
  readonly summary: string;
  last(lines: number): string[];
}

/** Runs one seed to its end and judges it. The same seed is the same run, event by event. */
export async function runSeed(seed: number): Promise<SeedRun> {
  const cluster = new Cluster(drawPlan(seed));
  const { world } = cluster;
  const onRejection = (error: unknown) => {
    world.broken(
      `nobody hears of an error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  };
  process.on("unhandledRejection", onRejection);
  try {
    await cluster.run();
  } finally {
    process.off("unhandledRejection", onRejection);
  }
  if (world.story.violations.length === 0) for (const problem of await endProblems(cluster)) world.broken(problem);
  const states = cluster.jobs.map((job) => `${job.name} ${job.state}`).join(", ");
  return {
    seed,
    violations: world.story.violations,
    counters: world.story.counters,
    hash: world.story.hash,
    events: world.timeline.events,
    summary: `${states}; ${String(world.timeline.events)} events, ${(world.nowMs / 1000).toFixed(1)} s, faults until ${(cluster.faultsEndMs / 1000).toFixed(1)} s`,
    last: (lines) => world.story.last(lines),
  };
}
