import type { RetriedItems } from "../../services/protocol/jobs.ts";
import type { Submission } from "../../services/protocol/submission.ts";
import type { MemoryDataset } from "../support/memory-dataset.ts";
import type { Chance } from "./chance.ts";
import { drawScript, type HandlerScript } from "./handler-script.ts";
import { SECRET } from "./secrets.ts";

/** A job as its user sees it: what to submit, what the handler will do, and what must come out. */
export interface PlannedJob {
  readonly api: string;
  readonly submission: Submission;
  readonly script: HandlerScript;
  /** Text of each item; not all are JSON. */
  readonly items: readonly string[];
  readonly batchSize: number;
  readonly submitAtMs: number;
  /** When its user asks it to stop; undefined: never. "claimed": just after a worker has claimed its hook. */
  readonly stopAtMs: number | "claimed" | undefined;
  readonly idempotencyKey: string;
  /** What its user asks for once it has ended. */
  readonly retry?: PlannedRetry | undefined;
  /** Its first file gets other bytes so long after the job's listing of it. */
  readonly changesAfterMs?: number | undefined;
}

export interface PlannedRetry {
  readonly items: RetriedItems;
  readonly batchSize: number;
  /** After the end. */
  readonly afterMs: number;
}

export const API = "sim";
/** Which planned job a spec is of. */
export const NUMBER_LABEL = "number";

/** So many jobs; their files are put into the dataset. `dreadful`: their handlers and users are no angels. */
export function drawWorkload(chance: Chance, dataset: MemoryDataset, dreadful: boolean, jobs: number): PlannedJob[] {
  return Array.from({ length: jobs }, (_, number) => drawJob(chance, dataset, dreadful, number));
}

function drawJob(chance: Chance, dataset: MemoryDataset, dreadful: boolean, number: number): PlannedJob {
  const batchSize = chance.integer(1, 4);
  // Batches that take longer than a lease must not look lost.
  const slow = chance.is(0.05);
  const batches = slow ? chance.integer(1, 3) : chance.is(0.004) ? chance.integer(60, 70) : chance.integer(1, 6);
  const count = Math.max(1, batches * batchSize - chance.integer(0, batchSize - 1));
  const files = chance.is(0.4);
  const badItems = files && dreadful ? chance.pick([0, 0, 0.05]) : 0;
  const items = Array.from({ length: count }, (_, index) => drawItem(chance, number, index, badItems));
  const submission: Submission = {
    workers: chance.pick([1, 1, 2, 2, 2, 3, 4]),
    config: { password: SECRET },
    timeoutSeconds: dreadful && chance.is(0.1) ? chance.integer(5, 60) : null,
    input: files ? putFiles(chance, dataset, number, items, batchSize) : inline(items, batchSize),
    attempts: chance.integer(1, 3),
    isolate: chance.is(0.8),
    batchTimeoutSeconds: chance.is(0.7) ? (slow ? 30 : 4) : null,
    priority: chance.integer(-1, 1),
    labels: { [NUMBER_LABEL]: String(number) },
    deadLetterQueue: null,
  };
  let script = drawScript(chance, Math.ceil(count / batchSize), batchSize, dreadful, slow);
  // without a batch timeout a handler that hangs hangs for ever, and is none of ours
  if (submission.batchTimeoutSeconds === null) script = withoutHangs(script);
  const submitAtMs = chance.integer(0, 4_000);
  const changesAfterMs = files && dreadful && chance.is(0.12) ? chance.skewed(1, 6_000) : undefined;
  return {
    api: API,
    submission,
    script,
    items,
    batchSize,
    submitAtMs,
    stopAtMs: dreadful ? drawStop(chance, submitAtMs) : undefined,
    idempotencyKey: `key-${String(number)}`,
    retry: dreadful && changesAfterMs === undefined && chance.is(0.3) ? drawRetry(chance) : undefined,
    changesAfterMs,
  };
}

function drawStop(chance: Chance, submitAtMs: number): PlannedJob["stopAtMs"] {
  if (chance.is(0.15)) return submitAtMs + chance.skewed(100, 40_000);
  return chance.is(0.1) ? "claimed" : undefined;
}

function drawRetry(chance: Chance): PlannedRetry {
  const items = chance.pick(["failed", "failed_and_skipped"] as const);
  return { items, batchSize: chance.integer(1, 4), afterMs: chance.skewed(1, 3_000) };
}

function drawItem(chance: Chance, job: number, index: number, badItems: number): string {
  if (chance.is(badItems)) return `bad ${SECRET} ${String(index)}`;
  return JSON.stringify({ job, index, text: SECRET + "x".repeat(chance.integer(0, 20)) });
}

function inline(items: readonly string[], batchSize: number): Submission["input"] {
  return { kind: "item_list", items: items.map((item) => Buffer.from(item)), batchSize };
}

/** The first file of a job gets other items, as many and as long. */
export function changeFile({ objects }: MemoryDataset, job: number): void {
  const uri = `s3://bucket/${String(job)}/0.jsonl`;
  const text = objects.get(uri)?.toString("utf8") ?? "";
  objects.set(uri, Buffer.from(text.replaceAll(SECRET, "other".padEnd(SECRET.length, "!"))));
}

/** Items as lines over some files; batches go over their borders. */
function putFiles(
  chance: Chance,
  dataset: MemoryDataset,
  job: number,
  items: readonly string[],
  batchSize: number,
): Submission["input"] {
  const files = chance.integer(1, 4);
  const perFile = Math.ceil(items.length / files);
  for (let file = 0; file < files; file += 1) {
    const lines = items.slice(file * perFile, (file + 1) * perFile);
    const text = lines.join("\n") + (chance.is(0.5) || lines.length === 0 ? "\n" : "");
    dataset.objects.set(`s3://bucket/${String(job)}/${String(file)}.jsonl`, Buffer.from(text));
  }
  return { kind: "delimited_files", paths: [`s3://bucket/${String(job)}/`], includes: [], excludes: [], batchSize };
}

function withoutHangs(script: HandlerScript): HandlerScript {
  const deeds = [...script.deeds].filter(([, { first }]) => !first.includes("hang"));
  return { ...script, deeds: new Map(deeds) };
}
