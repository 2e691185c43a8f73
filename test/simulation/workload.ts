import type { Submission } from "../../services/protocol/submission.ts";
import type { MemoryDataset } from "../support/memory-dataset.ts";
import type { Chance } from "./chance.ts";
import { drawScript, type HandlerScript } from "./handler-script.ts";

/** A job as its user sees it: what to submit, what the handler will do, and what must come out. */
export interface PlannedJob {
  readonly api: string;
  readonly submission: Submission;
  readonly script: HandlerScript;
  /** Text of each item; not all are JSON. */
  readonly items: readonly string[];
  readonly batchSize: number;
  readonly submitAtMs: number;
  /** When its user asks it to stop; undefined: never. */
  readonly stopAtMs: number | undefined;
  readonly idempotencyKey: string;
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
  const slow = chance.is(0.15);
  const batches = slow ? chance.integer(2, 6) : chance.is(0.02) ? chance.integer(60, 90) : chance.integer(1, 12);
  const count = Math.max(1, batches * batchSize - chance.integer(0, batchSize - 1));
  const files = chance.is(0.4);
  const badItems = files && dreadful ? chance.pick([0, 0, 0.05]) : 0;
  const items = Array.from({ length: count }, (_, index) => drawItem(chance, number, index, badItems));
  const submission: Submission = {
    workers: chance.integer(1, 4),
    config: {},
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
  return {
    api: API,
    submission,
    script,
    items,
    batchSize,
    submitAtMs,
    stopAtMs: dreadful && chance.is(0.15) ? submitAtMs + chance.skewed(100, 40_000) : undefined,
    idempotencyKey: `key-${String(number)}`,
  };
}

function drawItem(chance: Chance, job: number, index: number, badItems: number): string {
  if (chance.is(badItems)) return `bad ${String(index)}`;
  return JSON.stringify({ job, index, text: "x".repeat(chance.integer(0, 20)) });
}

function inline(items: readonly string[], batchSize: number): Submission["input"] {
  return { kind: "item_list", items: items.map((item) => Buffer.from(item)), batchSize };
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
