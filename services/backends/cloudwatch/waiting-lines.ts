/** Lines of one stream on their way, bounded in rate and in memory; what had to be cut is counted and said where it was. */
import type { Clock } from "../clock.ts";
import type { LogLine } from "../log-store.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { eventOf, lineOf } from "./log-event.ts";
import type { LogEvent } from "./log-event.ts";
import { callSize, pieces, PUT_LIMITS, takenTime } from "./put-limits.ts";

/** Memory that all streams of a process share. */
export interface LogBudget {
  readonly bytesMax: number;
  bytesHeld: number;
}

export interface WaitingLinesOptions {
  readonly clock: Clock;
  readonly budget: LogBudget;
  /** Names this writer among those of the stream. */
  readonly writer: string;
  /** Who says that lines were cut. */
  readonly from: "worker" | "service";
  /** How far the service's clock is ahead of this machine's. */
  readonly aheadMs: () => number;
  readonly bytesPerSecond?: number;
  readonly burstBytes?: number;
}

/** What an event costs in memory beside its text, about. */
const EVENT_BYTES = 200;

interface Cut {
  lines: number;
  bytes: number;
}

export class WaitingLines {
  readonly #options: WaitingLinesOptions;
  readonly #bytesPerSecond: number;
  readonly #burstBytes: number;
  #events: LogEvent[] = [];
  /** Of the messages, with their overhead in a call. */
  #bytes = 0;
  /** The first ones are in a call: they stay until it is answered. */
  #inCall = 0;
  #number = 0;
  #newest = 0;
  #tokens: number;
  #earnedMs: number;
  /** Above the rate, behind the last line. */
  #overRate: Cut = { lines: 0, bytes: 0 };
  /** The oldest, which no longer fitted. */
  #overRoom: Cut = { lines: 0, bytes: 0 };
  /** The newest line about such lines. */
  #told: LogEvent | undefined;

  constructor(options: WaitingLinesOptions) {
    this.#options = options;
    this.#bytesPerSecond = options.bytesPerSecond ?? LIMITS.logBytesPerSecond;
    this.#burstBytes = options.burstBytes ?? LIMITS.logBurstBytes;
    this.#tokens = this.#burstBytes;
    this.#earnedMs = options.clock.monotonicMs();
  }

  get lines(): number {
    return this.#events.length;
  }

  /** Whether there is more to send: lines, or a word about what was cut. */
  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#overRate.lines === 0 && this.#overRoom.lines === 0;
  }

  /** Whether the next call would be full. */
  get fillsCall(): boolean {
    return this.#bytes >= PUT_LIMITS.bytesMax || this.#events.length >= PUT_LIMITS.eventsMax;
  }

  add(line: LogLine): void {
    for (const text of pieces(line.text, LIMITS.logLineBytesMax)) this.#addPiece({ ...line, text });
  }

  /** The events of the next call; `answered` or `notTaken` follows. */
  take(eventsMax: number): readonly LogEvent[] {
    this.#sayOverRoom();
    if (this.#events.length === 0) this.#sayOverRate();
    this.#inCall = callSize(this.#events, eventsMax);
    return this.#events.slice(0, this.#inCall);
  }

  /** The call's events are done with: in the service, or given up. */
  answered(): void {
    this.#removeFirst(this.#inCall);
    this.#inCall = 0;
  }

  /** The call's events are for the next one. */
  notTaken(): void {
    this.#inCall = 0;
  }

  /** Events that were given up, beside those in the call. */
  givenUp(events: readonly LogEvent[]): void {
    for (const event of events) {
      if (event === this.#told) continue; // or the word about it would be followed by a word about that
      this.#overRoom.lines += 1;
      this.#overRoom.bytes += event.sizeBytes;
    }
  }

  /** Puts events whose times the service refused before all others, with times that it takes now. */
  addAgain(events: readonly LogEvent[]): void {
    const now = this.#nowMs();
    const waiting = this.#events;
    for (const event of waiting) this.#count(event, -1);
    this.#events = [];
    this.#newest = 0;
    for (const event of [...events, ...waiting]) {
      const { line, place } = lineOf(event.timestamp, event.message, "", "");
      this.#newest = Math.max(this.#newest, takenTime(event.timestamp, now));
      const again = eventOf(line, { ...place, timestamp: this.#newest });
      this.#events.push(again);
      this.#count(again, 1);
    }
  }

  discard(): void {
    this.#removeFirst(this.#events.length);
    this.#inCall = 0;
    this.#overRate = { lines: 0, bytes: 0 };
    this.#overRoom = { lines: 0, bytes: 0 };
  }

  #addPiece(line: LogLine): void {
    const price = Buffer.byteLength(line.text) + 1;
    if (!this.#earned(price)) {
      this.#overRate.lines += 1;
      this.#overRate.bytes += price;
      return;
    }
    this.#sayOverRate();
    this.#push(line);
  }

  #push(line: Omit<LogLine, "worker">): void {
    this.#newest = Math.max(this.#newest, takenTime(line.at, this.#nowMs()));
    const event = this.#event(line, this.#newest);
    const size = event.sizeBytes + EVENT_BYTES;
    const { budget } = this.#options;
    while (budget.bytesHeld + size > budget.bytesMax && this.#events.length > this.#inCall) {
      // some at once, or each further line would move all that wait
      const oldest = this.#events.splice(this.#inCall, Math.ceil(this.#events.length / 16));
      for (const one of oldest) this.#count(one, -1);
      this.givenUp(oldest);
    }
    if (budget.bytesHeld + size > budget.bytesMax) return this.givenUp([event]);
    this.#events.push(event);
    this.#count(event, 1);
  }

  #event(line: Omit<LogLine, "worker">, timestamp: number): LogEvent {
    this.#number += 1;
    return eventOf(line, { timestamp, writer: this.#options.writer, number: this.#number });
  }

  #sayOverRate(): void {
    const { lines, bytes } = this.#overRate;
    if (lines === 0) return;
    this.#overRate = { lines: 0, bytes: 0 };
    const rate = `${String(this.#bytesPerSecond)} bytes a second`;
    const text = `${String(lines)} lines (${String(bytes)} bytes) were cut here: a worker may log ${rate}`;
    this.#push({ at: this.#options.clock.wallMs(), from: this.#options.from, text });
  }

  /** Stands before what is left. */
  #sayOverRoom(): void {
    const { lines, bytes } = this.#overRoom;
    if (lines === 0) return;
    this.#overRoom = { lines: 0, bytes: 0 };
    const text = `${String(lines)} lines (${String(bytes)} bytes) were cut here: the log service did not take them`;
    const timestamp = this.#events[0]?.timestamp ?? Math.max(this.#newest, takenTime(this.#nowMs(), this.#nowMs()));
    const event = this.#event({ at: timestamp, from: this.#options.from, text }, timestamp);
    this.#told = event;
    this.#events.unshift(event);
    this.#count(event, 1);
  }

  #earned(price: number): boolean {
    const now = this.#options.clock.monotonicMs();
    const earned = ((now - this.#earnedMs) / 1000) * this.#bytesPerSecond;
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + earned);
    this.#earnedMs = now;
    if (price > this.#tokens) return false;
    this.#tokens -= price;
    return true;
  }

  #removeFirst(count: number): void {
    for (const event of this.#events.splice(0, count)) this.#count(event, -1);
  }

  #count(event: LogEvent, sign: 1 | -1): void {
    this.#bytes += sign * (event.sizeBytes + PUT_LIMITS.eventOverheadBytes);
    this.#options.budget.bytesHeld += sign * (event.sizeBytes + EVENT_BYTES);
  }

  #nowMs(): number {
    return this.#options.clock.wallMs() + this.#options.aheadMs();
  }
}
