import { DatasetError } from "../backends/dataset.ts";
import type { AttemptErrors } from "../protocol/errors.ts";
import { JsonShapeError } from "../protocol/json-scanner.ts";
import { batchId } from "../protocol/ids.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import type { Handler, RunAnswer } from "./handlers/handler.ts";
import type { Payload, PayloadItem } from "./payload-reader.ts";
import type { AttemptEnd } from "./settler.ts";

/** What came of running a batch once; `not_begun`: nothing did, it may run again and nobody is charged. */
export type AttemptResult = AttemptEnd | { readonly kind: "not_begun" };

type Failed = Extract<RunAnswer, { kind: "failed" }>;

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
  const items = message.pointer.items;
  const { attempt, first_item: first } = message;
  const meta = { batch_id: batchId(message.job, message.batch), attempt, items, first };
  const answer = await handler.run(meta, payload.array);
  if (answer.kind !== "bad_items") return ended(message, answer, [], seconds(), () => payload.items());
  const parsed = payload
    .items()
    .map((item, index) => ({ item, index: message.first_item + index, ok: isJson(item.bytes) }));
  const good = parsed.filter(({ ok }) => ok);
  const bad = parsed.filter(({ ok }) => !ok);
  if (bad.length === 0) return ended(message, UNREADABLE, [], seconds(), () => payload.items());
  const apart = bad.map(({ item, index }) => badItem(message, index, item));
  if (good.length === 0) return some(message, apart, null, seconds());
  const again = await handler.run({ ...meta, items: good.length }, arrayOf(good.map(({ item }) => item.bytes)));
  const answered = again.kind === "bad_items" ? UNREADABLE : reindexed(again, good);
  return ended(message, answered, apart, seconds(), () => payload.items());
}

/** The rows of a run without the bad items were counted through; each gets the index that its item has in the job. */
function reindexed(
  answer: Exclude<RunAnswer, { kind: "bad_items" }>,
  good: readonly { readonly index: number }[],
): Exclude<RunAnswer, { kind: "bad_items" }> {
  if (answer.kind !== "done" || answer.rows === null) return answer;
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { index } of good) {
    const end = answer.bytes.indexOf(NEWLINE, at) + 1;
    pieces.push(Buffer.from(`{"index":${String(index)}`), answer.bytes.subarray(answer.bytes.indexOf(COMMA, at), end));
    at = end;
  }
  return { ...answer, bytes: Buffer.concat(pieces) };
}

/** The batch's data is not what the split saw: a failed attempt like any other, so that it is tried again. */
export function unreadable(message: BatchMessage, error: unknown): AttemptEnd {
  const cause = inputCause(error);
  if (cause === undefined) throw error;
  return wholeBatchFailed(message, cause, (error as Error).message);
}

/** Handler processes end while they take the batch in, time after time. */
export function neverBegun(message: BatchMessage): AttemptEnd {
  const error =
    "handler processes ended while they read this batch, each time, before they could begin it: it may be too large for " +
    "the memory; give a smaller batch_size";
  return wholeBatchFailed(message, "killed", error);
}

/** No item was looked at, so that each one is said to lie somewhere in its span. */
function wholeBatchFailed(message: BatchMessage, cause: string, error: string): AttemptEnd {
  const { spans, items } = message.pointer;
  const places = spans.flatMap(({ start, end, items: count }, uri) => {
    return Array.from({ length: count }, () => [uri, start, end] as const);
  });
  const errors: AttemptErrors = {
    batch: message.batch,
    attempt: message.attempt,
    cause,
    error,
    traceback: "",
    items: places.map((place, index) => [message.first_item + index, ...place] as const),
    uris: spans.map(({ uri }) => uri),
  };
  return { line: outcome(message, "none", items, 0, cause), rows: null, errors: [errors] };
}

/** Undefined for what is no fault of the user's data. */
function inputCause(error: unknown): string | undefined {
  if (error instanceof JsonShapeError) return "input_changed"; // the splitter could cut these bytes
  return error instanceof DatasetError ? `input_${error.fault}` : undefined;
}

const UNREADABLE: Failed = {
  kind: "failed",
  cause: "bad_item",
  error: "the batch's items parse one by one, and not together: the handler's JSON reader differs from JSON (RFC 8259)",
  traceback: "",
};

function ended(
  message: BatchMessage,
  answer: Exclude<RunAnswer, { kind: "bad_items" }>,
  apart: readonly AttemptErrors[],
  seconds: number,
  items: () => readonly PayloadItem[],
): AttemptResult {
  if (answer.kind === "not_begun") return answer;
  if (answer.kind === "failed") {
    const failed = failedItems(message, answer, items());
    return {
      line: outcome(message, "none", message.pointer.items, seconds, answer.cause),
      rows: null,
      errors: [failed],
    };
  }
  const rows = answer.rows === null ? null : { bytes: answer.bytes, count: answer.rows };
  if (apart.length > 0) return some(message, apart, rows, seconds);
  return { line: outcome(message, "all", 0, seconds), rows, errors: [] };
}

function some(
  message: BatchMessage,
  apart: readonly AttemptErrors[],
  rows: AttemptEnd["rows"],
  seconds: number,
): AttemptEnd {
  return { line: outcome(message, "some", apart.length, seconds), rows, errors: apart };
}

function outcome(
  { batch, attempt, pointer }: BatchMessage,
  result: AttemptEnd["line"]["result"],
  failed: number,
  seconds: number,
  cause?: string,
): AttemptEnd["line"] {
  const rounded = Math.round(seconds * 1e6) / 1e6;
  return {
    batch,
    attempt,
    result,
    items: pointer.items,
    failed,
    seconds: rounded,
    ...(cause === undefined ? {} : { cause }),
  };
}

function failedItems(message: BatchMessage, failed: Failed, items: readonly PayloadItem[]): AttemptErrors {
  const uris = [...new Set(items.map(({ uri }) => uri))];
  return {
    batch: message.batch,
    attempt: message.attempt,
    cause: failed.cause,
    error: failed.error,
    traceback: failed.traceback,
    items: items.map(
      ({ uri, start, end }, index) => [message.first_item + index, uris.indexOf(uri), start, end] as const,
    ),
    uris,
  };
}

function badItem(message: BatchMessage, index: number, { uri, start, end }: PayloadItem): AttemptErrors {
  return {
    batch: message.batch,
    attempt: message.attempt,
    cause: "bad_item",
    error: `bytes ${String(start)} to ${String(end)} of ${uri} are not JSON; mend that item, or leave it out`,
    traceback: "",
    items: [[index, 0, start, end]],
    uris: [uri],
  };
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

function arrayOf(items: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [];
  for (const item of items) pieces.push(pieces.length === 0 ? OPEN : COMMA, item);
  return Buffer.concat([...pieces, CLOSE]);
}

const OPEN = Buffer.from("[");
const COMMA = Buffer.from(",");
const CLOSE = Buffer.from("]");
const NEWLINE = Buffer.from("\n");
