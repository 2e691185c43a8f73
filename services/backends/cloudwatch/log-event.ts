/**
 * How a line stands in CloudWatch Logs: its text, behind a tag that a person can read and that says the rest exactly, as in
 * `[handler batch 17 #4f1c.123] loading the model`. The number counts the lines of one writer (`4f1c`), so that a reader knows their
 * order within a millisecond, and an event that was sent twice from two lines. ` at <time>` stands behind it when the event's own
 * time had to be another one.
 */
import type { LogLine } from "../log-store.ts";

export interface LogEvent {
  /** Unix milliseconds. */
  readonly timestamp: number;
  readonly message: string;
  /** Of the message in UTF-8. */
  readonly sizeBytes: number;
}

export interface LogPlace {
  /** Unix milliseconds that CloudWatch sorts by: never before those of the writer's earlier lines. */
  readonly timestamp: number;
  /** Lower-case letters and digits, drawn anew by each writer of a stream. */
  readonly writer: string;
  /** Counts from 1. */
  readonly number: number;
}

export interface ReadEvent {
  readonly line: LogLine;
  readonly place: LogPlace;
}

const TAG = /^\[(handler|worker|service)(?: batch (\d+))? #([0-9a-z]+)\.(\d+)(?: at ([^\]]+))?\] ?/;
const TIME_MAX = 8.64e15;

/** Lone surrogates become U+FFFD: they have no UTF-8. */
export function eventOf(line: Omit<LogLine, "worker">, { timestamp, writer, number }: LogPlace): LogEvent {
  const batch = line.batch === undefined ? "" : ` batch ${String(line.batch)}`;
  const at = line.at === timestamp || Math.abs(line.at) > TIME_MAX ? "" : ` at ${new Date(line.at).toISOString()}`;
  const message = `[${line.from}${batch} #${writer}.${String(number)}${at}] ${line.text.toWellFormed()}`;
  return { timestamp, message, sizeBytes: Buffer.byteLength(message) };
}

/** What others wrote into the stream is shown as the worker's; `eventId` then tells it from other events. */
export function lineOf(timestamp: number, message: string, worker: string, eventId: string): ReadEvent {
  const [tag, from, batch, writer, number, at] = TAG.exec(message) ?? [];
  if (tag === undefined) {
    const place = { timestamp, writer: eventId, number: 0 };
    return { line: { at: timestamp, worker, from: "worker", text: message }, place };
  }
  const time = at === undefined ? timestamp : Date.parse(at);
  const line: LogLine = {
    at: Number.isNaN(time) ? timestamp : time,
    worker,
    from: from as LogLine["from"],
    ...(batch === undefined ? {} : { batch: Number(batch) }),
    text: message.slice(tag.length),
  };
  return { line, place: { timestamp, writer: writer ?? "", number: Number(number) } };
}
