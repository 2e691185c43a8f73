/** Reads the next lines of a job's streams, merged by time. */
import type { FilterLogEventsCommandOutput, FilteredLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import type { LogLine } from "../log-store.ts";
import { lineOf } from "./log-event.ts";
import { inOrder, writerKey } from "./read-cursor.ts";
import type { LinePlace, ReadCursor } from "./read-cursor.ts";

/** One call of FilterLogEvents on the job's group. */
export type FilterEvents = (request: {
  readonly logStreamNamePrefix: string;
  readonly startTime: number;
  readonly limit: number;
  readonly nextToken?: string;
}) => Promise<Pick<FilterLogEventsCommandOutput, "events" | "nextToken">>;

export interface ScanQuery {
  readonly job: string;
  /** Only lines of this worker. */
  readonly worker: string | undefined;
  readonly linesMax: number;
  /** Unix milliseconds before which the job has no lines. */
  readonly notBefore: number;
}

export interface ScannedLine {
  readonly line: LogLine;
  readonly place: LinePlace;
}

/** Events that one call may answer. */
const EVENTS_MAX = 10_000;
const EVENTS_MIN = 100;
/** A page also ends at so many characters of text: a thousand lines may be 256 MiB. */
const PAGE_CHARACTERS_MAX = 4 * 1024 * 1024;

/** At most `linesMax` lines that the cursor has not read, in order. */
export async function scanLines(
  filter: FilterEvents,
  query: ScanQuery,
  cursor: ReadCursor,
): Promise<readonly ScannedLine[]> {
  const { job, worker, linesMax } = query;
  const logStreamNamePrefix = `${job}/${worker ?? ""}`;
  const page = new Page(query, cursor);
  let startTime = Math.max(cursor.startTime, query.notBefore);
  let limit = Math.min(Math.max(linesMax + cursor.linesAgain + 1, EVENTS_MIN), EVENTS_MAX);
  let nextToken: string | undefined;
  for (;;) {
    const token = nextToken === undefined ? {} : { nextToken };
    const answer = await filter({ logStreamNamePrefix, startTime, limit, ...token });
    const events = answer.events ?? [];
    page.add(events);
    const reached = events.at(-1)?.timestamp ?? 0;
    if (page.isFullBefore(reached)) return page.lines;
    if (answer.nextToken !== undefined && answer.nextToken !== nextToken) {
      nextToken = answer.nextToken; // also after an empty answer
      continue;
    }
    if (events.length < limit) return page.lines;
    // A full answer should have a token; where a server gives none, the scan goes on from the time that it has reached.
    nextToken = undefined;
    if (reached > startTime) startTime = reached;
    else if (limit < EVENTS_MAX) limit = EVENTS_MAX;
    else startTime += 1;
  }
}

class Page {
  readonly #query: ScanQuery;
  readonly #cursor: ReadCursor;
  readonly #found = new Set<string>();
  #lines: ScannedLine[] = [];
  #full = false;

  constructor(query: ScanQuery, cursor: ReadCursor) {
    this.#query = query;
    this.#cursor = cursor;
  }

  get lines(): readonly ScannedLine[] {
    return this.#lines;
  }

  add(events: readonly FilteredLogEvent[]): void {
    for (const event of events) this.#addOne(event);
    this.#lines.sort((a, b) => inOrder(a.place, b.place));
    let characters = 0;
    let count = 0;
    while (count < this.#lines.length && count < this.#query.linesMax && characters < PAGE_CHARACTERS_MAX) {
      characters += this.#lines[count]?.line.text.length ?? 0;
      count += 1;
    }
    this.#full = count === this.#query.linesMax || count < this.#lines.length || characters >= PAGE_CHARACTERS_MAX;
    this.#lines = this.#lines.slice(0, count);
  }

  /** Whether events of that time and later ones can no more belong to it. */
  isFullBefore(timestamp: number): boolean {
    return this.#full && timestamp > (this.#lines.at(-1)?.place.timestamp ?? 0);
  }

  #addOne({ logStreamName = "", timestamp, message, eventId = "" }: FilteredLogEvent): void {
    const { job, worker } = this.#query;
    if (timestamp === undefined || message === undefined || !logStreamName.startsWith(`${job}/`)) return;
    const of = logStreamName.slice(job.length + 1);
    if (worker !== undefined && of !== worker) return;
    const read = lineOf(timestamp, message, of, eventId);
    const place = { ...read.place, worker: of };
    const name = `${writerKey(place)}.${String(place.number)}`;
    // an event whose answer was lost was sent again: it is one line
    if (this.#found.has(name) || this.#cursor.hasRead(place)) return;
    this.#found.add(name);
    this.#lines.push({ line: read.line, place });
  }
}
