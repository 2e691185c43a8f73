import type { BatchQueue } from "../../services/backends/batch-queue.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { Chance } from "./chance.ts";
import { drawRates, onOneMachine, type FaultRates } from "./faults.ts";
import { LAPTOP, OFTEN, RARELY, type ServicePace } from "./simulated-service.ts";
import type { ProcessOptions, SimulatedProcess } from "./simulated-process.ts";
import { drawWorkload, type PlannedJob } from "./workload.ts";
import type { World } from "./world.ts";

/** All that a cluster is, before anything of it runs. */
export interface ClusterPlan {
  /** The world's own chance: faults and scheduling. */
  readonly chance: Chance;
  readonly rates: FaultRates;
  readonly faultFree: boolean;
  /** From then on nothing goes wrong any more. */
  readonly faultsEndMs: number;
  readonly lanes: number;
  readonly handlerProcesses: number;
  readonly appendsMax: number | undefined;
  /** No message carries its spans: workers read split files. */
  readonly bareMessages: boolean;
  readonly dataset: MemoryDataset;
  readonly jobs: readonly PlannedJob[];
  /** One service, whose queue and workers end with it; default: replicas that share all with others. */
  readonly laptop?: boolean;
  /** How often services look; default: often. */
  readonly pace?: ServicePace;
  /** How long a worker's poll waits. */
  readonly pollSeconds: number;
  readonly between?: Between;
}

/** What stands between a program and its seams, for tests whose faults are not chance's. */
export interface Between {
  process(world: World, options: ProcessOptions): SimulatedProcess;
  store(process: SimulatedProcess, store: ObjectStore): ObjectStore;
  queue(process: SimulatedProcess, queue: BatchQueue): BatchQueue;
}

/** Of all simulated clusters. */
export const LEASE_SECONDS = 5;

/** The plan of a seed. */
export function drawPlan(seed: number): ClusterPlan {
  const chance = new Chance(seed);
  const faultFree = chance.is(0.1);
  // One lane that goes from job to job, with workers that their platform knows nothing of: zombies.
  const crowded = !faultFree && chance.is(0.15);
  const drawn = drawRates(chance, faultFree ? "none" : "swarm");
  const laptop = !crowded && chance.is(0.2);
  const rates = laptop ? onOneMachine(drawn) : crowded ? { ...drawn, cutOff: 0.3 } : drawn;
  const dataset = new MemoryDataset();
  // One after the other: a draw in another place is another run.
  const worlds = chance.fork();
  const faultsEndMs = faultFree ? 0 : chance.skewed(3_000, 30_000);
  const lanes = crowded ? 1 : chance.pick(rates.laneGone > 0 ? [1, 2, 3] : [1, 1, 2]);
  const handlerProcesses = chance.pick([1, 1, 2]);
  const appendsMax = laptop ? undefined : chance.pick([undefined, 2, 8]);
  const jobs = drawWorkload(chance, dataset, !faultFree, crowded ? 3 : chance.integer(1, 3));
  const bareMessages = chance.is(0.2);
  // Each look costs as much as all that happens between two: most services look about as rarely as those in a cloud.
  const pace = laptop ? LAPTOP : chance.pick([OFTEN, RARELY, RARELY, RARELY, RARELY, RARELY]);
  return { chance: worlds, rates, faultFree, faultsEndMs, lanes, handlerProcesses, appendsMax, bareMessages, dataset, jobs, pace, pollSeconds: LEASE_SECONDS / 3, laptop }; // prettier-ignore
}
