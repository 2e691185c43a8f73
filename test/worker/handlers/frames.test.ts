import { describe, expect, it } from "vitest";
import { FRAME_KIND } from "../../../services/protocol/frames.ts";
import { readAnswer, readStart } from "../../../services/worker/handlers/answers.ts";
import { encodeFrame, FrameReader, type RawFrame } from "../../../services/worker/handlers/frames.ts";
import { HandlerStartFailed } from "../../../services/worker/handlers/handler.ts";

const aFrame = (kind: number, meta: string, body = "", sequence = 1): Buffer =>
  Buffer.concat(encodeFrame(kind, sequence, meta, Buffer.from(body)));

function parse(bytes: Buffer): RawFrame {
  const [frame] = new FrameReader().push(bytes);
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

describe("FrameReader", () => {
  it("gives the same frames wherever the stream is cut", () => {
    const stream = Buffer.concat([aFrame(66, '{"rows":1}', "body\n", 1), aFrame(68, "", "", 2), aFrame(69, "", "", 3)]);
    for (let cut = 0; cut <= stream.length; cut++) {
      const reader = new FrameReader();
      const frames = [...reader.push(stream.subarray(0, cut)), ...reader.push(stream.subarray(cut))];

      expect(frames.map((frame) => [frame.kind, frame.sequence, frame.meta.toString(), frame.body.toString()])).toEqual(
        [
          [66, 1, '{"rows":1}', "body\n"],
          [68, 2, "", ""],
          [69, 3, "", ""],
        ],
      );
    }
  });

  it("refuses bytes that are no frames", () => {
    const tooLong = aFrame(66, "", "x".repeat(20));
    const metaBeyondFrame = Buffer.from(aFrame(66, "{}"));
    metaBeyondFrame.writeUInt16LE(3, 6);
    const reserved = Buffer.from(aFrame(66, "{}"));
    reserved[5] = 1;

    for (const [bytes, bytesMax] of [[tooLong, 10], [metaBeyondFrame], [reserved]] as const) {
      const reader = new FrameReader(bytesMax);
      expect(reader.push(bytes)).toEqual([]);
      expect(reader.broken).toBe(true);
      expect(reader.push(aFrame(66, "{}"))).toEqual([]);
    }
  });

  it("gives the frames that stand before bytes that are none, in one chunk with them", () => {
    const reader = new FrameReader();

    const frames = reader.push(Buffer.concat([aFrame(66, "{}"), Buffer.from("no frame at all")]));

    expect(frames).toHaveLength(1);
    expect(reader.broken).toBe(true);
  });

  it("writes the bytes that the protocol's document shows", () => {
    expect(aFrame(FRAME_KIND.done, '{"rows":null}', "", 7).toString("hex")).toBe(
      "0d000000" + "42" + "00" + "0d00" + "07000000" + Buffer.from('{"rows":null}').toString("hex"),
    );
  });
});

describe("readAnswer", () => {
  it.each([
    ["rows without their lines", aFrame(FRAME_KIND.done, '{"rows":2}', '{"index":0,"result":1}\n')],
    ["a last line without newline", aFrame(FRAME_KIND.done, '{"rows":2}', "{}\n{}")],
    ["rows of another number than items", aFrame(FRAME_KIND.done, '{"rows":1}', "{}\n")],
    ["lines where it says none", aFrame(FRAME_KIND.done, '{"rows":null}', "{}\n")],
    ["meta that is no JSON", aFrame(FRAME_KIND.done, "{")],
    ["a cause of its own making", aFrame(FRAME_KIND.failed, '{"cause":"timed_out","error":"x"}')],
    ["an unknown kind", aFrame(99, "{}")],
    ["a frame of the supervisor", aFrame(FRAME_KIND.run, "{}")],
  ])("refuses %s", (_, bytes) => {
    expect(readAnswer(parse(bytes), 2)).toBeUndefined();
  });

  it("keeps the end of a traceback and the beginning of an error, within their limits", () => {
    const meta = JSON.stringify({ cause: "raised", error: "e".repeat(2_000) });
    const answer = readAnswer(parse(aFrame(FRAME_KIND.failed, meta, `${"é".repeat(50_000)}end`)), 2);

    expect(answer).toMatchObject({ error: "e".repeat(1_024), traceback: `${"é".repeat(8_189)}end` });
  });
});

describe("readStart", () => {
  it("tells ready and start_failed from anything else", () => {
    const failed = readStart(parse(aFrame(FRAME_KIND.start_failed, '{"error":"why","kind":"init"}', "trace", 0)));

    expect(readStart(parse(aFrame(FRAME_KIND.ready, '{"hook":true,"pid":1}', "", 0)))).toEqual({ hook: true });
    expect(failed).toBeInstanceOf(HandlerStartFailed);
    expect(failed).toMatchObject({ message: "why", traceback: "trace" });
    expect(readStart(parse(aFrame(FRAME_KIND.ready, '{"hook":1}', "", 0)))).toBeUndefined();
    expect(readStart(parse(aFrame(FRAME_KIND.ready, '{"hook":true}', "", 5)))).toBeUndefined();
  });
});
