import { DatasetError } from "../backends/dataset.ts";
import type { RunMeta } from "../protocol/frames.ts";
import { JsonShapeError } from "../protocol/json-scanner.ts";
import { DamagedObject } from "../protocol/stored.ts";
import { batchId } from "../protocol/ids.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import type { Failure } from "./isolation.ts";
import { badItem, failedItems, outcome, wholeBatchFailed } from "./attempt-end.ts";
import type { Handler, RunAnswer } from "./handlers/handler.ts";
import type { Payload, PayloadItem } from "./payload-reader.ts";
import type { AttemptEnd } from "./settler.ts";

/**
 * What came of running a batch once; `not_begun`: nothing did, it may run again and nobody is charged; `interrupted`: the
 * worker leaves.
 */
export type AttemptResult = AttemptEnd | { readonly kind: "not_begun" | "interrupted" };

type Failed = Extract<RunAnswer, { kind: "failed" }>;

/** What a handler made of some items. */
export interface ItemsRun {
  readonly answer: Exclude<RunAnswer, { kind: "bad_items" }>;
  /** Those that are no JSON and were left out, by their place among the items. */
  readonly apart: readonly number[];
}

/**
 * Runs a batch on a handler once. Items that are no JSON are set apart without calling the handler for them: they fail,
 * their neighbours run. `seconds` is asked once, at the end: how long the handler had it.
 */
export async function runAttempt(
  message: BatchMessage,
  payload: Payload,
  handler: Pick<Handler, "run">,
  seconds: () => number,
): Promise<AttemptResult> {
  const { attempt, first_item: first } = message;
  const meta = { batch_id: batchId(message.job, message.batch), attempt, items: message.pointer.items, first };
  const run = await runItems(handler, meta, payload.array, () => payload.items());
  return ended(message, run, seconds(), () => payload.items());
}

/** Runs some items; `array` holds them as JSON. */
export async function runItems(
  handler: Pick<Handler, "run">,
  meta: RunMeta,
  array: Buffer,
  items: () => readonly PayloadItem[],
): Promise<ItemsRun> {
  const answer = await handler.run(meta, array);
  if (answer.kind !== "bad_items") return { answer, apart: [] };
  const parsed = items().map((item, at) => ({ item, at, ok: isJson(item.bytes) }));
  const good = parsed.filter(({ ok }) => ok);
  const apart = parsed.flatMap(({ at, ok }) => (ok ? [] : [at]));
  if (apart.length === 0) return { answer: UNREADABLE, apart };
  if (good.length === 0) return { answer: NOTHING, apart };
  const again = await handler.run({ ...meta, items: good.length }, arrayOf(good.map(({ item }) => item.bytes)));
  if (again.kind === "bad_items") return { answer: UNREADABLE, apart };
  return { answer: reindexed(again, good.map(({ at }) => meta.first + at)), apart }; // prettier-ignore
}

/** The rows of a run without the bad items were counted through; each gets the index that its item has in the job. */
function reindexed(answer: ItemsRun["answer"], indexes: readonly number[]): ItemsRun["answer"] {
  if (answer.kind !== "done" || answer.rows === null) return answer;
  const pieces: Buffer[] = [];
  let at = 0;
  for (const index of indexes) {
    const end = answer.bytes.indexOf(NEWLINE, at) + 1;
    pieces.push(Buffer.from(`{"index":${String(index)}`), answer.bytes.subarray(answer.bytes.indexOf(COMMA, at), end));
    at = end;
  }
  return { ...answer, bytes: Buffer.concat(pieces) };
}

/** The batch's data is not what the split saw: a failed attempt like any other, so that it is tried again. */
export function unreadable(message: BatchMessage, error: unknown): AttemptEnd {
  const fault = inputFault(error);
  return wholeBatchFailed(message, fault.cause, fault.error);
}

/** Throws what is no fault of the user's data. */
export function inputFault(error: unknown): Failure {
  const cause = inputCause(error);
  if (cause === undefined) throw error;
  return { cause, error: (error as Error).message, traceback: "" };
}

/** Handler processes end while they take items in, time after time. */
export const NEVER_BEGUN: Failed = {
  kind: "failed",
  cause: "killed",
  error:
    "handler processes ended while they read this batch, each time, before they could begin it: it may be too large for " +
    "the memory; give a smaller batch_size",
  traceback: "",
};

export function neverBegun(message: BatchMessage): AttemptEnd {
  return wholeBatchFailed(message, NEVER_BEGUN.cause, NEVER_BEGUN.error);
}

/** Undefined for what is no fault of the user's data. */
function inputCause(error: unknown): string | undefined {
  if (error instanceof JsonShapeError) return "input_changed"; // the splitter could cut these bytes
  if (error instanceof DamagedObject) return "input_damaged"; // the items that were staged in the store
  return error instanceof DatasetError ? `input_${error.fault}` : undefined;
}

/** Whether an attempt failed as a whole for what its items did, so that taking it apart may tell the bad ones. */
export function blamesItems({ line }: AttemptEnd): boolean {
  return line.result === "none" && line.cause !== "aborted" && !isInputCause(line.cause);
}

/** Whether it failed because its data could not be read: what lies elsewhere may do. */
export function blamesData({ line }: AttemptEnd): boolean {
  return line.result === "none" && isInputCause(line.cause);
}

function isInputCause(cause: string | undefined): boolean {
  return cause?.startsWith("input_") === true;
}

const UNREADABLE: Failed = {
  kind: "failed",
  cause: "bad_item",
  error: "the batch's items parse one by one, and not together: the handler's JSON reader differs from JSON (RFC 8259)",
  traceback: "",
};

const NOTHING: ItemsRun["answer"] = { kind: "done", rows: null, bytes: Buffer.alloc(0) };

function ended(
  message: BatchMessage,
  { answer, apart }: ItemsRun,
  seconds: number,
  items: () => readonly PayloadItem[],
): AttemptResult {
  if (answer.kind === "not_begun") return answer;
  if (answer.kind === "failed") {
    const line = outcome(message, "none", message.pointer.items, seconds, answer.cause);
    return { line, rows: null, errors: [failedItems(message, answer, items())] };
  }
  const rows = answer.rows === null ? null : { bytes: answer.bytes, count: answer.rows };
  if (apart.length === 0) return { line: outcome(message, "all", 0, seconds), rows, errors: [] };
  const bad = new Set(apart);
  const errors = items().flatMap((item, at) => (bad.has(at) ? [badItem(message, at, item)] : []));
  return { line: outcome(message, "some", apart.length, seconds), rows, errors };
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(STRICT_UTF8.decode(bytes));
    return true;
  } catch {
    return false; // that is the answer
  }
}

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true });

export function arrayOf(items: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [];
  for (const item of items) pieces.push(pieces.length === 0 ? OPEN : COMMA, item);
  return Buffer.concat([...pieces, CLOSE]);
}

const OPEN = Buffer.from("[");
const COMMA = Buffer.from(",");
const CLOSE = Buffer.from("]");
const NEWLINE = Buffer.from("\n");
