import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys } from "../protocol/keys.ts";
import type { ItemRange } from "../protocol/ledger.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import type { Decided, RangeDone, RangeFailed } from "./isolation.ts";

const FORMAT = 1;
/** Writes that may be on their way while the handler goes on. */
const WRITES_MAX = 16;

/** First line of an object; the rows follow. */
type Head = { readonly format: typeof FORMAT } & (
  | { readonly end: "done"; readonly rows: number | null; readonly apart: readonly number[] }
  | { readonly end: "failed"; readonly cause: string; readonly error: string; readonly traceback: string }
);

/**
 * What is known of a batch that is being taken apart, an object for each range of its items, so that it survives its worker.
 * They are a help and no truth: the outcome alone counts, and what is missing or damaged here is run again.
 */
export class IsolatedRanges {
  readonly #store: ObjectStore;
  readonly #keys: ReturnType<typeof jobKeys>;
  readonly #message: BatchMessage;
  readonly #writes = new Set<Promise<void>>();

  constructor(store: ObjectStore, api: string, message: BatchMessage) {
    this.#store = store;
    this.#keys = jobKeys(api, message.job);
    this.#message = message;
  }

  /** All that any worker has kept of this attempt. */
  async read(): Promise<Decided[]> {
    const decided: Decided[] = [];
    let after: string | undefined;
    do {
      const page = await this.#store.list(
        this.#keys.isolation(this.#message.batch),
        after === undefined ? {} : { after },
      );
      for (const { key } of page.entries) decided.push(...(await this.#readOne(key)));
      after = page.next;
    } while (after !== undefined);
    return decided;
  }

  /** Writes behind the caller. A write that fails is no loss: whoever lacks it runs the range again. */
  keep({ range, end }: Decided): void {
    const { batch, attempt } = this.#message;
    const bytes = encoded(end);
    const write = this.#store.put(this.#keys.isolated(batch, attempt, range), bytes).then(
      () => undefined,
      () => undefined, // a store that is broken is heard of at the next flush of the ledger
    );
    const writing = write.finally(() => this.#writes.delete(writing));
    this.#writes.add(writing);
  }

  /** Resolves when few enough writes are on their way, or with `all` none. */
  async written(all: boolean): Promise<void> {
    while (this.#writes.size > (all ? 0 : WRITES_MAX)) await Promise.race(this.#writes);
  }

  async #readOne(key: string): Promise<Decided[]> {
    const [attempt, from, to] = key.slice(key.lastIndexOf("/") + 1).split("-").map(Number); // prettier-ignore
    if (attempt !== this.#message.attempt || from === undefined || to === undefined) return [];
    const found = await this.#store.get(key);
    const end = found === undefined ? undefined : decoded(found.bytes, [from, to]);
    return end === undefined ? [] : [{ range: [from, to], end }];
  }
}

function encoded(end: RangeDone | RangeFailed): Buffer {
  const { kind } = end;
  const head: Head =
    kind === "done"
      ? { format: FORMAT, end: kind, rows: end.rows?.count ?? null, apart: end.apart }
      : { format: FORMAT, end: kind, cause: end.cause, error: end.error, traceback: end.traceback };
  const line = Buffer.from(`${JSON.stringify(head)}\n`);
  return kind === "done" && end.rows !== null ? Buffer.concat([line, end.rows.bytes]) : line;
}

/** Undefined for what nobody here wrote so, or not of this range. */
function decoded(bytes: Buffer, [from, to]: ItemRange): RangeDone | RangeFailed | undefined {
  const lineEnd = bytes.indexOf(NEWLINE);
  if (lineEnd < 0) return undefined;
  let head: Partial<Record<string, unknown>>;
  try {
    head = JSON.parse(bytes.toString("utf8", 0, lineEnd)) as Partial<Record<string, unknown>>;
  } catch {
    return undefined; // damaged: it is run again
  }
  const { format, end, rows, apart, cause, error, traceback } = head;
  if (format !== FORMAT) return undefined;
  if (end === "failed") {
    if (typeof cause !== "string" || typeof error !== "string" || typeof traceback !== "string") return undefined;
    return to - from === 1 ? { kind: "failed", cause, error, traceback } : undefined;
  }
  const isPlace = (at: unknown): at is number => Number.isInteger(at) && (at as number) >= from && (at as number) < to;
  if (end !== "done" || !Array.isArray(apart) || !apart.every(isPlace)) return undefined;
  const body = bytes.subarray(lineEnd + 1);
  if (rows === null) return { kind: "done", rows: null, apart };
  if (rows !== to - from - apart.length || linesIn(body) !== rows) return undefined;
  return { kind: "done", rows: { bytes: body, count: rows }, apart };
}

const NEWLINE = 10;

function linesIn(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  return bytes.length > 0 && bytes.at(-1) !== NEWLINE ? -1 : lines;
}
