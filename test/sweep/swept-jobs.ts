import type { JobState } from "../../services/protocol/states.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { Chance } from "../simulation/chance.ts";
import type { Between, ClusterPlan } from "../simulation/cluster-plan.ts";
import { NO_FAULTS, type FaultRates } from "../simulation/faults.ts";
import type { BadBatch } from "../simulation/handler-script.ts";
import { RARELY } from "../simulation/simulated-service.ts";
import { API, NUMBER_LABEL, type PlannedJob } from "../simulation/workload.ts";

const SCHEDULE = 5;
/** Items of each file: a batch lies over their border, the last one is not full. */
const FILES = [3, 4];
const BAD_ITEM = 5;

export interface SweptJob {
  readonly batchSize: number;
  readonly attempts: number;
  readonly stopAtMs?: number;
  /** Of one run of a batch: long enough for leases to be renewed. */
  readonly secondsMin: number;
  readonly secondsMax: number;
  /** What the handler does with the first batch. */
  readonly first: BadBatch;
  /** How it may end, whatever the fault. */
  readonly ends: readonly JobState[];
  /** Items that fail where it ends with all items settled; all others succeed. */
  readonly itemsFailed: number;
  /** Virtual time that it takes by itself beyond that of a job whose workers live, leases. */
  readonly leases?: number;
}

const RETRIED = { first: ["raise"], forever: false } as const;

/**
 * Small jobs that meet most of what a job can: lines over two files, a batch that fails once and is tried again, an item
 * that is no JSON, a tail batch, a completion hook; two workers, two replicas, one lane.
 */
export const SWEPT_JOBS = {
  ended: {
    batchSize: 2,
    attempts: 3,
    secondsMin: 0.6,
    secondsMax: 0.9,
    first: RETRIED,
    ends: ["completed_with_failures"],
    itemsFailed: 1,
  },
  /** Its user stops it while its batches run; a fault may keep that from the driver until they have ended. */
  stopped: {
    batchSize: 2,
    attempts: 3,
    stopAtMs: 3_000,
    secondsMin: 2,
    secondsMax: 3,
    first: RETRIED,
    ends: ["stopped", "completed_with_failures"],
    itemsFailed: 1,
  },
  /** A batch with an item that always fails is taken apart. */
  isolated: {
    batchSize: 4,
    attempts: 2,
    secondsMin: 0.2,
    secondsMax: 0.4,
    first: { first: ["raise"], forever: true, item: 2 },
    ends: ["completed_with_failures"],
    itemsFailed: 2,
  },
  /** An item kills each worker that runs it, until it stands alone and fails. */
  killing: {
    batchSize: 4,
    attempts: 1,
    secondsMin: 0.2,
    secondsMax: 0.4,
    first: { first: ["kill the worker"], forever: true, item: 1 },
    ends: ["completed_with_failures"],
    itemsFailed: 2,
    leases: 6,
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
    pollSeconds: 0.5,
    pace: RARELY,
    dataset,
    jobs: [plannedJob(SWEPT_JOBS[name], items)],
    between,
  };
}

function plannedJob(job: SweptJob, items: readonly string[]): PlannedJob {
  const { batchSize, attempts, first, secondsMin, secondsMax, stopAtMs } = job;
  return {
    api: API,
    submission: {
      workers: 2,
      config: {},
      timeoutSeconds: null,
      input: { kind: "delimited_files", paths: ["s3://bucket/"], includes: [], excludes: [], batchSize },
      attempts,
      isolate: true,
      batchTimeoutSeconds: 4,
      priority: 0,
      labels: { [NUMBER_LABEL]: "0" },
      deadLetterQueue: null,
    },
    script: { hook: "succeeds", broken: false, secondsMin, secondsMax, deeds: new Map([[0, first]]) },
    items,
    batchSize,
    submitAtMs: 10,
    stopAtMs,
    idempotencyKey: "key-0",
  };
}
