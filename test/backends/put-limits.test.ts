import { expect, it } from "vitest";
import { callSize, pieces, PUT_LIMITS, takenTime } from "../../services/backends/cloudwatch/put-limits.ts";

function events(count: number, sizeBytes: number, everyMs = 0) {
  return Array.from({ length: count }, (_, at) => ({ timestamp: at * everyMs, message: "", sizeBytes }));
}

it("fills a call up to each limit of PutLogEvents, and not beyond", () => {
  const half = PUT_LIMITS.bytesMax / 2 - PUT_LIMITS.eventOverheadBytes;

  expect(callSize(events(2, half))).toBe(2);
  expect(callSize(events(2, half + 1))).toBe(1);
  expect(callSize(events(10_001, 10))).toBe(10_000);
  expect(callSize(events(3, 10, PUT_LIMITS.spanMs / 2))).toBe(3);
  expect(callSize(events(3, 10, PUT_LIMITS.spanMs / 2 + 1))).toBe(2);
  expect(callSize(events(5, 10), 2)).toBe(2);
  expect(callSize([])).toBe(0);
});

it("gives a time that the service takes", () => {
  const now = 1.8e12;

  expect(takenTime(now - PUT_LIMITS.ageMs, now)).toBe(now - PUT_LIMITS.ageMs);
  expect(takenTime(now - PUT_LIMITS.ageMs - 1, now)).toBe(now - PUT_LIMITS.ageMs);
  expect(takenTime(now + PUT_LIMITS.aheadMs + 1, now)).toBe(now + PUT_LIMITS.aheadMs);
  expect(takenTime(Number.NaN, now)).toBe(now);
});

it("cuts a text between characters into pieces that fit", () => {
  expect(pieces("abc", 3)).toEqual(["abc"]);
  expect(pieces("a€€b", 4)).toEqual(["a€", "€b"]);
  expect(pieces("", 4)).toEqual([""]);
});
