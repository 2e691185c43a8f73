import { CursorInvalid, type LogLine, type LogPage, type LogQuery } from "./log-store.ts";

export const LOG_LINES_DEFAULT = 1_000;

/** A page also ends at so many characters of text: a thousand lines may be 256 MiB. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

/** The lines of one worker from a position on. Positions mean nothing but to their own store. */
export interface LineSource {
  readonly worker: string;
  /** Where the next page goes on: behind the last line taken. */
  readonly position: number;
  /** The next line, which stays there until it is taken. */
  head(): Promise<LogLine | undefined>;
  take(): void;
}

/** Merges workers by time; each worker's own order stays, also where its clock went back. Equal times: by worker. */
export async function mergePage(
  sources: readonly LineSource[],
  positions: ReadonlyMap<string, number>,
  query: LogQuery,
): Promise<LogPage> {
  const linesMax = Math.max(query.linesMax ?? LOG_LINES_DEFAULT, 1);
  const lines: LogLine[] = [];
  let characters = 0;
  while (lines.length < linesMax && characters < PAGE_CHARACTERS_MAX) {
    const earliest = await earliestOf(sources);
    if (earliest === undefined) break;
    lines.push(earliest.line);
    characters += earliest.line.text.length;
    earliest.source.take();
  }
  const reached = new Map(positions);
  for (const { worker, position } of sources) reached.set(worker, position);
  return { lines, cursor: cursorOf(reached) };
}

async function earliestOf(
  sources: readonly LineSource[],
): Promise<{ readonly line: LogLine; readonly source: LineSource } | undefined> {
  let earliest: { readonly line: LogLine; readonly source: LineSource } | undefined;
  for (const source of sources) {
    const line = await source.head();
    if (line === undefined) continue;
    if (
      earliest === undefined ||
      line.at < earliest.line.at ||
      (line.at === earliest.line.at && source.worker < earliest.source.worker)
    ) {
      earliest = { line, source };
    }
  }
  return earliest;
}

/** Positions by worker, as an opaque word; equal positions give equal cursors. */
function cursorOf(positions: ReadonlyMap<string, number>): string {
  const read = [...positions].filter(([, position]) => position > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify(read)).toString("base64url");
}

/** Reads a cursor back; throws `CursorInvalid` for anything that `read` did not answer. */
export function positionsOf(cursor: string | undefined): ReadonlyMap<string, number> {
  if (cursor === undefined) return new Map();
  const positions = new Map<string, number>();
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (!Array.isArray(read)) throw new TypeError("not a list");
    for (const pair of read as readonly unknown[]) {
      if (!Array.isArray(pair)) throw new TypeError("not a pair");
      const [worker, position] = pair as readonly unknown[];
      if (typeof worker !== "string" || !Number.isSafeInteger(position)) throw new TypeError("not a position");
      positions.set(worker, Math.max(0, Number(position)));
    }
  } catch (cause) {
    throw new CursorInvalid({ cause });
  }
  return positions;
}
