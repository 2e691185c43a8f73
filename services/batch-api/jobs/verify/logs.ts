/** Ledgers and verdicts as bytes say them. */
import type { ObjectStore } from "../../../backends/object-store.ts";
import type { LedgerLine, VerdictLine } from "../../../protocol/ledger.ts";
import { isLedgerLine } from "../../../protocol/ledger.parse.ts";

/** A ledger or verdict object, without its `held` lines: they are a worker's word about now. */
export interface ReadLog<Line> {
  readonly key: string;
  readonly sizeBytes: number;
  /** Whole lines with the byte after each; `counts`: within the cut, or there is none yet. */
  readonly lines: readonly { readonly line: Line; readonly end: number; readonly counts: boolean }[];
  /** The byte after each whole line, those of `held` lines too. */
  readonly lineEnds: ReadonlySet<number>;
  /** Complete lines that nobody wrote so, by the byte at which they start. */
  readonly damaged: readonly number[];
}

export async function* keysUnder(store: ObjectStore, prefix: string): AsyncGenerator<string> {
  for (let after: string | undefined, more = true; more;) {
    const page = await store.list(prefix, after === undefined ? {} : { after });
    for (const { key } of page.entries) yield key;
    after = page.next;
    more = after !== undefined;
  }
}

export async function readLogs<Line extends LedgerLine | VerdictLine>(
  store: ObjectStore,
  prefix: string,
  cut: Readonly<Record<string, number>> | undefined,
): Promise<ReadLog<Line>[]> {
  const logs: ReadLog<Line>[] = [];
  for await (const key of keysUnder(store, prefix)) {
    const found = await store.get(key);
    if (found !== undefined) logs.push(readLog<Line>(key, found.bytes, cut === undefined ? Infinity : (cut[key] ?? 0)));
  }
  return logs;
}

function readLog<Line extends LedgerLine | VerdictLine>(key: string, bytes: Buffer, cutAt: number): ReadLog<Line> {
  const lines: { line: Line; end: number; counts: boolean }[] = [];
  const damaged: number[] = [];
  const lineEnds = new Set<number>();
  for (let start = 0, at = bytes.indexOf(10); at !== -1; start = at + 1, at = bytes.indexOf(10, start)) {
    lineEnds.add(at + 1);
    const line = lineOf<Line>(bytes.toString("utf8", start, at));
    if (line === undefined)
      damaged.push(start); // told by the check of whole lines
    else if (line.t !== "held") lines.push({ line, end: at + 1, counts: at + 1 <= cutAt });
  }
  return { key, sizeBytes: bytes.length, lines, lineEnds, damaged };
}

/** Undefined for what no worker and no driver wrote. */
function lineOf<Line>(json: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(json);
    return isLedgerLine(line) ? (line as Line) : undefined;
  } catch {
    return undefined; // no JSON
  }
}
