/** What one PutLogEvents takes (CloudWatch Logs API reference, PutLogEvents). Servers that tests run enforce none of it. */
import type { LogEvent } from "./log-event.ts";

export const PUT_LIMITS = {
  /** Sum of the messages in UTF-8 and of the overhead of each event. */
  bytesMax: 1_048_576,
  eventOverheadBytes: 26,
  eventsMax: 10_000,
  /** From the first event to the last. */
  spanMs: 24 * 3600_000,
  /** Older events are refused; an hour less, for a clock that is off and a call that waits. */
  ageMs: 14 * 24 * 3600_000 - 3600_000,
  /** Later ones are refused; ten minutes less. */
  aheadMs: 2 * 3600_000 - 600_000,
} as const;

/** How many of the first events, which are in order of time, one call takes; at least one of any. */
export function callSize(events: readonly LogEvent[], eventsMax: number = PUT_LIMITS.eventsMax): number {
  let bytes = 0;
  const first = events[0]?.timestamp ?? 0;
  const most = Math.min(events.length, eventsMax, PUT_LIMITS.eventsMax);
  for (let count = 0; count < most; count++) {
    const event = events[count];
    if (event === undefined) return count;
    bytes += event.sizeBytes + PUT_LIMITS.eventOverheadBytes;
    if (count > 0 && (bytes > PUT_LIMITS.bytesMax || event.timestamp - first > PUT_LIMITS.spanMs)) return count;
  }
  return most;
}

/** The time that an event of that time can have now. */
export function takenTime(at: number, nowMs: number): number {
  if (Number.isNaN(at)) return nowMs;
  return Math.trunc(Math.min(Math.max(at, nowMs - PUT_LIMITS.ageMs, 0), nowMs + PUT_LIMITS.aheadMs));
}

/** Cuts a text into pieces of at most so many bytes of UTF-8, between characters. */
export function pieces(text: string, bytesMax: number): readonly string[] {
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return [text];
  const bytes = Buffer.from(text);
  const found: string[] = [];
  for (let start = 0; start < bytes.length;) {
    let end = Math.min(start + bytesMax, bytes.length);
    while (end < bytes.length && end > start + 1 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
    found.push(bytes.toString("utf8", start, end));
    start = end;
  }
  return found;
}
