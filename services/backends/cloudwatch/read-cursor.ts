/**
 * How far a reader of a job's lines has come: all up to the floor are done with, in the order of (time, worker, writer, number), and
 * some above it were read already. Those stand in the cursor as ranges of numbers of each writer, so that lines which arrive late, from
 * one worker behind those of another, are still read, and each line once.
 */
import { hash } from "node:crypto";
import { CursorInvalid } from "../log-store.ts";
import type { LogPlace } from "./log-event.ts";

export interface LinePlace extends LogPlace {
  readonly worker: string;
}

interface ReadRanges {
  /** Unix milliseconds of the newest line read of this writer. */
  newest: number;
  /** First and last number of each range, ascending, none next to another. */
  ranges: (readonly [first: number, last: number])[];
}

/** Ranges that a cursor holds; it travels in a header and in an address, which end at 16 KiB. */
const RANGES_MAX = 300;
const START: LinePlace = { timestamp: 0, worker: "", writer: "", number: 0 };

export class ReadCursor {
  #floor: LinePlace;
  readonly #read: Map<string, ReadRanges>;

  private constructor(floor: LinePlace, read: Map<string, ReadRanges>) {
    this.#floor = floor;
    this.#read = read;
  }

  /** Undefined: from the first line. Throws `CursorInvalid` for anything that `text` did not answer. */
  static parse(text: string | undefined): ReadCursor {
    if (text === undefined) return new ReadCursor(START, new Map());
    try {
      const read: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
      const [timestamp, worker, writer, number, ...entries] = arrayOf(read);
      const floor = { timestamp: count(timestamp), worker: word(worker), writer: word(writer), number: count(number) };
      return new ReadCursor(floor, new Map(entries.map((entry) => rangesOf(entry, floor.timestamp))));
    } catch (cause) {
      throw new CursorInvalid({ cause });
    }
  }

  /** Unix milliseconds that a scan begins at. */
  get startTime(): number {
    return this.#floor.timestamp;
  }

  /** How many lines a scan will find again. */
  get linesAgain(): number {
    let lines = 0;
    for (const { ranges } of this.#read.values()) for (const [first, last] of ranges) lines += last - first + 1;
    return lines;
  }

  hasRead(place: LinePlace): boolean {
    if (inOrder(place, this.#floor) <= 0) return true;
    const found = this.#read.get(writerKey(place));
    return found?.ranges.some(([first, last]) => first <= place.number && place.number <= last) ?? false;
  }

  /** Lines that were read, ascending. The floor rises to the last of them, but not above `settledMs`: there lines may come late. */
  advance(places: readonly LinePlace[], settledMs: number): void {
    const last = places.at(-1);
    if (last === undefined) return;
    for (const place of places) this.#add(place);
    this.#raise(last.timestamp <= settledMs ? last : { ...START, timestamp: Math.max(0, settledMs) });
    this.#bound(last);
  }

  toString(): string {
    const { timestamp, worker, writer, number } = this.#floor;
    const entries = [...this.#read].map(([key, { newest, ranges }]) => [key, newest - timestamp, ...ranges.flat()]);
    return Buffer.from(JSON.stringify([timestamp, worker, writer, number, ...entries])).toString("base64url");
  }

  #add(place: LinePlace): void {
    const key = writerKey(place);
    const read = this.#read.get(key) ?? { newest: 0, ranges: [] };
    this.#read.set(key, read);
    read.newest = Math.max(read.newest, place.timestamp);
    read.ranges = joined([...read.ranges, [place.number, place.number] as const]);
  }

  #raise(to: LinePlace): void {
    if (inOrder(to, this.#floor) > 0) this.#floor = to;
    for (const [key, { newest }] of this.#read) {
      if (newest < this.#floor.timestamp) this.#read.delete(key);
    }
  }

  /** Too many writers at once: the floor rises above the quietest, whose late lines are then not read. */
  #bound(last: LinePlace): void {
    const byAge = [...this.#read.values()].sort((a, b) => b.newest - a.newest);
    let ranges = 0;
    const over = byAge.find((read) => (ranges += read.ranges.length) > RANGES_MAX);
    if (over === undefined) return;
    const above = { ...START, timestamp: over.newest + 1 };
    if (inOrder(above, last) < 0) return this.#raise(above);
    this.#raise(last);
    this.#read.clear();
  }
}

/** The order in which lines are read. */
export function inOrder(a: LinePlace, b: LinePlace): number {
  if (a.timestamp !== b.timestamp) return a.timestamp - b.timestamp;
  if (a.worker !== b.worker) return a.worker < b.worker ? -1 : 1;
  if (a.writer !== b.writer) return a.writer < b.writer ? -1 : 1;
  return a.number - b.number;
}

/** Names a writer of a stream, shortly. */
export function writerKey({ worker, writer }: LinePlace): string {
  return hash("sha256", `${worker}/${writer}`, "base64url").slice(0, 8);
}

function joined(ranges: (readonly [number, number])[]): (readonly [number, number])[] {
  const merged: [number, number][] = [];
  for (const [first, last] of ranges.sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

function rangesOf(entry: unknown, floorMs: number): [string, ReadRanges] {
  const [key, newest, ...numbers] = arrayOf(entry);
  const ranges: [number, number][] = [];
  for (let at = 0; at + 1 < numbers.length; at += 2) ranges.push([count(numbers[at]), count(numbers[at + 1])]);
  return [word(key), { newest: floorMs + count(newest), ranges }];
}

function arrayOf(read: unknown): readonly unknown[] {
  if (!Array.isArray(read)) throw new TypeError("not a list");
  return read as readonly unknown[];
}

function word(read: unknown): string {
  if (typeof read !== "string") throw new TypeError("not a word");
  return read;
}

function count(read: unknown): number {
  if (!Number.isSafeInteger(read)) throw new TypeError("not a count");
  return Number(read);
}
