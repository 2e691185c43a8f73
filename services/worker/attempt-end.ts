/** How the end of an attempt is written down: its line, and what befell the items that failed. */
import type { AttemptErrors } from "../protocol/errors.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import type { Failure, Isolation, RangeDone } from "./isolation.ts";
import type { PayloadItem } from "./payload-reader.ts";
import type { AttemptEnd } from "./settler.ts";

const BAD_ITEM = "bad_item";
/** Handlers answer with rows or with nothing, whatever the items are. */
const ROWLESS: Failure = {
  cause: "bad_answer",
  error:
    "the handler returned nothing for these items, and a list for others of the same batch; return the same kind always",
  traceback: "",
};

export function outcome(
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

/** `from`: where in the batch the first of `items` is. */
export function failedItems(
  message: BatchMessage,
  { cause, error, traceback }: Failure,
  items: readonly PayloadItem[],
  from = 0,
): AttemptErrors {
  const uris = [...new Set(items.map(({ uri }) => uri))];
  const first = message.first_item + from;
  return {
    batch: message.batch,
    attempt: message.attempt,
    cause,
    error,
    traceback,
    items: items.map(({ uri, start, end }, at) => [first + at, uris.indexOf(uri), start, end] as const),
    uris,
  };
}

/** An item that is no JSON; `at` is its place in the batch. */
export function badItem(message: BatchMessage, at: number, item: PayloadItem): AttemptErrors {
  const error = `bytes ${String(item.start)} to ${String(item.end)} of ${item.uri} are not JSON; mend that item, or leave it out`;
  return failedItems(message, { cause: BAD_ITEM, error, traceback: "" }, [item], at);
}

/** No item was looked at, so that each one is said to lie somewhere in its span. */
export function wholeBatchFailed(message: BatchMessage, cause: string, error: string): AttemptEnd {
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

/**
 * The end of an attempt whose batch was taken apart. With a failed item it is `some`, even when no item is left: of attempts
 * that are `none` the first one's errors would count, and those tell no item from another.
 */
export function isolatedEnd(
  message: BatchMessage,
  { decided, fits }: Isolation,
  items: readonly PayloadItem[],
  seconds: number,
): AttemptEnd {
  const done = decided.flatMap(({ end }) => (end.kind === "done" ? [end] : []));
  const returnsRows = done.some(({ rows }) => rows !== null);
  const failures = new Map<number, Failure | "apart">();
  const pieces: RangeDone["rows"][] = [];
  for (const { range, end } of decided) {
    const rowless = returnsRows && end.kind === "done" && end.rows === null && end.apart.length < range[1] - range[0];
    if (end.kind === "failed" || rowless) {
      const failure = end.kind === "failed" ? end : ROWLESS;
      for (let at = range[0]; at < range[1]; at += 1) failures.set(at, failure);
    } else pieces.push(end.rows);
    if (end.kind === "done") for (const at of end.apart) failures.set(at, "apart");
  }
  const rows = pieces.flatMap((piece) => piece ?? []);
  const bytes = Buffer.concat(rows.map((piece) => piece.bytes));
  const result = failures.size === 0 ? "all" : "some";
  const [first] = [...failures.values()].filter((failure) => failure !== "apart");
  const cause = failures.size === items.length ? first?.cause : undefined;
  return {
    line: { ...outcome(message, result, failures.size, seconds, cause), ...(fits === undefined ? {} : { fits }) },
    rows: returnsRows ? { bytes, count: rows.reduce((sum, { count }) => sum + count, 0) } : null,
    errors: errorsOf(message, failures, items),
  };
}

/** In the order of the items; neighbours that failed together share a line. */
function errorsOf(
  message: BatchMessage,
  failures: ReadonlyMap<number, Failure | "apart">,
  items: readonly PayloadItem[],
): AttemptErrors[] {
  const errors: AttemptErrors[] = [];
  for (let at = 0; at < items.length;) {
    const failure = failures.get(at);
    let end = at + 1;
    if (failure !== undefined && failure !== "apart") {
      while (end < items.length && isSame(failures.get(end), failure)) end += 1;
      errors.push(failedItems(message, failure, items.slice(at, end), at));
    }
    const item = items[at];
    if (failure === "apart" && item !== undefined) errors.push(badItem(message, at, item));
    at = end;
  }
  return errors;
}

function isSame(a: Failure | "apart" | undefined, b: Failure): boolean {
  if (a === undefined || a === "apart") return false;
  return a.cause === b.cause && a.error === b.error && a.traceback === b.traceback;
}
