import type { JobState } from "../../services/protocol/states.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { Chance } from "../simulation/chance.ts";
import type { Between, ClusterPlan } from "../simulation/cluster-plan.ts";
import { NO_FAULTS, type FaultRates } from "../simulation/faults.ts";
import { RARELY } from "../simulation/simulated-service.ts";
import { API, NUMBER_LABEL, type PlannedJob } from "../simulation/workload.ts";

const SCHEDULE = 5;
const BATCH_SIZE = 2;
/** Items of each file: the second batch lies over their border, the last one is not full. */
const FILES = [3, 4];
const BAD_ITEM = 5;

interface SweptJob {
  readonly stopAtMs?: number;
  /** Of one run of a batch: long enough for leases to be renewed. */
  readonly secondsMin: number;
  readonly secondsMax: number;
  /** How it may end, whatever the fault. */
  readonly ends: readonly JobState[];
  /** Items that fail where it ends with all items settled; all others succeed. */
  readonly itemsFailed: number;
}

/**
 * Small jobs that meet most of what a job can: lines over two files, a batch that fails once and is tried again, an item
 * that is no JSON, a tail batch, a completion hook; two workers, two replicas, one lane.
 */
export const SWEPT_JOBS = {
  ended: { secondsMin: 0.6, secondsMax: 0.9, ends: ["completed_with_failures"], itemsFailed: 1 },
  /** Its user stops it while its batches run; a fault may keep that from the driver until they have ended. */
  stopped: {
    stopAtMs: 3_000,
    secondsMin: 2,
    secondsMax: 3,
    ends: ["stopped", "completed_with_failures"],
    itemsFailed: 1,
  },
} as const satisfies Record<string, SweptJob>;

export type SweptJobName = keyof typeof SWEPT_JOBS;
export const sweptJobNames = Object.keys(SWEPT_JOBS) as readonly SweptJobName[];

/** The world of one swept job. `rates`: what may have been in it, for those who watch; nothing of it comes by chance. */
export function sweptPlan(name: SweptJobName, rates: Partial<FaultRates>, between: Between): ClusterPlan {
  const dataset = new MemoryDataset();
  const items = Array.from({ length: FILES.reduce((sum, count) => sum + count) }, (_, index) => {
    return index === BAD_ITEM ? `bad ${String(index)}` : JSON.stringify({ index });
  });
  let at = 0;
  for (const [file, count] of FILES.entries()) {
    dataset.objects.set(`s3://bucket/${String(file)}.jsonl`, Buffer.from(items.slice(at, at + count).join("\n")));
    at += count;
  }
  return {
    chance: new Chance(SCHEDULE),
    rates: { ...NO_FAULTS, ...rates },
    faultFree: false,
    faultsEndMs: 0,
    lanes: 1,
    handlerProcesses: 1,
    appendsMax: 2,
    bareMessages: false,
    pace: RARELY,
    dataset,
    jobs: [plannedJob(SWEPT_JOBS[name], items)],
    between,
  };
}

function plannedJob({ stopAtMs, secondsMin, secondsMax }: SweptJob, items: readonly string[]): PlannedJob {
  return {
    api: API,
    submission: {
      workers: 2,
      config: {},
      timeoutSeconds: null,
      input: { kind: "delimited_files", paths: ["s3://bucket/"], includes: [], excludes: [], batchSize: BATCH_SIZE },
      attempts: 3,
      batchTimeoutSeconds: 4,
      priority: 0,
      labels: { [NUMBER_LABEL]: "0" },
      deadLetterQueue: null,
    },
    script: {
      hook: "succeeds",
      broken: false,
      secondsMin,
      secondsMax,
      deeds: new Map([[0, { first: ["raise"], forever: false }]]),
    },
    items,
    batchSize: BATCH_SIZE,
    submitAtMs: 10,
    stopAtMs,
    idempotencyKey: "key-0",
  };
}
