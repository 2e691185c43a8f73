import { describe, expect, it } from "vitest";
import type { Clock } from "../../../services/backends/clock.ts";
import { OutputSplitter } from "../../../services/worker/handlers/output.ts";

function aSplitter(settings: { lineBytesMax?: number; bytesPerSecond?: number; burstBytes?: number } = {}) {
  const said: string[] = [];
  const time = { milliseconds: 0 };
  const clock: Clock = {
    monotonicMs: () => time.milliseconds,
    wallMs: () => time.milliseconds,
    sleep: () => Promise.resolve(),
  };
  const splitter = new OutputSplitter({
    nonce: "abc",
    clock,
    onLine: (text) => said.push(text),
    onMarker: (sequence) => said.push(`#${String(sequence)}`),
    ...settings,
  });
  return { splitter, said, time };
}

describe("OutputSplitter", () => {
  it("finds the same lines and markers wherever the stream is cut", () => {
    const stream = Buffer.from("one\r\n\0abc 1\ntwo é\nno newline\0abc 2\n\n\0xyz 3\n\0abc x\nlast");
    const expected = ["one", "#1", "two é", "no newline", "#2", "", "\0xyz 3", "last"];

    for (let cut = 0; cut <= stream.length; cut++) {
      const { splitter, said } = aSplitter();
      splitter.push(stream.subarray(0, cut));
      splitter.push(stream.subarray(cut));
      splitter.end();
      expect(said).toEqual(expected);
    }
  });

  it("cuts a line that is too long into several, and still finds the marker behind it at every place of a cut", () => {
    const stream = Buffer.from(`${"x".repeat(100)}\0abc 7\nafter\n`);

    for (let cut = 0; cut <= stream.length; cut++) {
      const { splitter, said } = aSplitter({ lineBytesMax: 30 });
      splitter.push(stream.subarray(0, cut));
      splitter.push(stream.subarray(cut));
      splitter.end();
      expect(said).toEqual(["x".repeat(30), "x".repeat(30), "x".repeat(30), "x".repeat(10), "#7", "after"]);
    }
  });

  it("cuts what exceeds the rate, counts it in one line, and goes on when the rate allows it", () => {
    const { splitter, said, time } = aSplitter({ bytesPerSecond: 10, burstBytes: 10 });

    splitter.push(Buffer.from("12345678\nlost\nlost too\n"));
    time.milliseconds = 10_000;
    splitter.push(Buffer.from("again\n"));

    expect(said).toEqual(["12345678", "14 bytes of output were cut here: a worker may log 10 bytes a second", "again"]);
  });

  it("says at the end what was cut", () => {
    const { splitter, said } = aSplitter({ bytesPerSecond: 10, burstBytes: 2 });

    splitter.push(Buffer.from("too long\n"));
    splitter.end();

    expect(said).toEqual(["9 bytes of output were cut here: a worker may log 10 bytes a second"]);
  });
});
