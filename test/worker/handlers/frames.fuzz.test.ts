/** Hostile bytes on the control socket: what a handler's own code may write there must never harm the supervisor. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FRAME_HEAD_BYTES, FRAME_KIND } from "../../../services/protocol/frames.ts";
import { LIMITS } from "../../../services/protocol/limits.ts";
import { readAnswer, readStart } from "../../../services/worker/handlers/answers.ts";
import { encodeFrame, FrameReader, type RawFrame } from "../../../services/worker/handlers/frames.ts";
import { HandlerStartFailed } from "../../../services/worker/handlers/handler.ts";

const kind = fc.oneof(fc.constantFrom(...Object.values(FRAME_KIND)), fc.nat(255));
const meta = fc.oneof(
  fc.constantFrom(
    "",
    "{",
    "null",
    "[]",
    '{"rows":null}',
    '{"rows":1}',
    '{"rows":-1}',
    '{"rows":1e999}',
    '{"hook":true}',
    '{"cause":"raised","error":"x"}',
    '{"cause":"__proto__","error":"x"}',
    '{"__proto__":{"rows":0},"error":1}',
    '{"cause":"exited","error":"\\ud800"}',
    "[".repeat(0xffff),
    `{"cause":"raised","error":"${"😀".repeat(16_000)}"}`,
  ),
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 40 }),
);
const body = fc.oneof(
  fc.constantFrom("", "\n", "{}\n", "{}\n{}\n", "{}\n{}", "\n".repeat(3_000)).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
);
const sequence = fc.constantFrom(0, 1, 2, 0xffffffff);
const wholeFrame = fc
  .tuple(kind, sequence, meta, body)
  .map(([ofKind, number, text, bytes]) => Buffer.concat(encodeFrame(ofKind, number, text, bytes)));
/** A head that announces more than comes. */
const bareHead = fc
  .tuple(fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff), fc.nat(0xffff))
  .map(([of, ofMeta]) => {
    const head = Buffer.alloc(FRAME_HEAD_BYTES);
    head.writeUInt32LE(of, 0);
    head.writeUInt8(FRAME_KIND.done, 4);
    head.writeUInt16LE(ofMeta, 6);
    return head;
  });
const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const aTinyFrame = Buffer.concat(encodeFrame(FRAME_KIND.ask, 1, "", Buffer.alloc(0)));
const tinyFrames = fc.nat(300).map((count) => Buffer.concat(Array.from({ length: count }, () => aTinyFrame)));

interface Soup {
  readonly bytes: Buffer;
  /** Where the stream is cut into chunks. */
  readonly cuts: readonly number[];
}
const soup: fc.Arbitrary<Soup> = fc
  .record({
    pieces: fc.array(
      fc.oneof({ arbitrary: wholeFrame, weight: 6 }, tinyFrames, { arbitrary: bareHead, weight: 1 }, noise),
      { maxLength: 6 },
    ),
    flips: fc.array(fc.tuple(fc.nat(100_000), fc.nat(7)), { maxLength: 3 }),
    lost: fc.nat(20),
    sizes: fc.array(fc.constantFrom(1, 2, 3, 7, 11, 12, 13, 64, 4_096, 65_536), { minLength: 1, maxLength: 40 }),
  })
  .map(({ pieces, flips, lost, sizes }) => {
    const all = Buffer.concat(pieces);
    const bytes = Buffer.from(all.subarray(0, Math.max(0, all.length - lost)));
    for (const [at, bit] of bytes.length > 0 ? flips : []) {
      bytes.writeUInt8(bytes.readUInt8(at % bytes.length) ^ (1 << bit), at % bytes.length);
    }
    // at most some hundred chunks: the last size stands for the rest
    const cuts: number[] = [];
    for (let at = 0, size = 0; at < bytes.length; size += 1) cuts.push((at += sizes[size] ?? 65_536));
    return { bytes, cuts };
  });

/** Frames of the whole stream, the slow way: how many bytes each has, and whether what follows them is none. */
function slowFrames(
  bytes: Buffer,
  bytesMax: number,
): { readonly frames: readonly RawFrame[]; readonly broken: boolean } {
  const frames: RawFrame[] = [];
  let rest = bytes;
  for (;;) {
    if (rest.length < 12) return { frames, broken: false };
    const [length, metaBytes] = [rest.readUInt32LE(0), rest.readUInt16LE(6)];
    if (length > bytesMax || metaBytes > length || rest[5] !== 0) return { frames, broken: true };
    if (rest.length - 12 < length) return { frames, broken: false };
    frames.push({
      kind: rest.readUInt8(4),
      sequence: rest.readUInt32LE(8),
      meta: Buffer.from(rest.subarray(12, 12 + metaBytes)),
      body: Buffer.from(rest.subarray(12 + metaBytes, 12 + length)),
    });
    rest = rest.subarray(12 + length);
  }
}

function readInChunks(reader: FrameReader, { bytes, cuts }: Soup): RawFrame[] {
  const frames: RawFrame[] = [];
  let from = 0;
  for (const cut of cuts) {
    frames.push(...reader.push(Buffer.from(bytes.subarray(from, cut))));
    from = cut;
  }
  return frames;
}

describe("FrameReader, fed with garbage", () => {
  it("reads what the slow way reads, breaks where it breaks, and never throws", () => {
    const seen = { broken: 0, waiting: 0 };
    fc.assert(
      fc.property(soup, fc.constantFrom(100, 70_000, LIMITS.frameBytesMax), (stream, bytesMax) => {
        const reader = new FrameReader(bytesMax);

        const frames = readInChunks(reader, stream);

        const wanted = slowFrames(stream.bytes, bytesMax);
        expect(frames.length).toBe(wanted.frames.length);
        frames.forEach((frame, at) => {
          const slow = wanted.frames[at];
          expect([frame.kind, frame.sequence]).toEqual([slow?.kind, slow?.sequence]);
          expect(slow?.meta.equals(frame.meta) === true && slow.body.equals(frame.body)).toBe(true);
        });
        expect(reader.broken).toBe(wanted.broken);
        seen[wanted.broken ? "broken" : "waiting"] += 1;
      }),
      { numRuns: 500 },
    );
    expect(Math.min(seen.broken, seen.waiting)).toBeGreaterThan(20);
  });

  it("takes no memory for bytes that are announced and do not come", () => {
    const head = Buffer.alloc(FRAME_HEAD_BYTES);
    head.writeUInt32LE(LIMITS.frameBytesMax, 0);
    head.writeUInt8(FRAME_KIND.done, 4);
    const readers = Array.from({ length: 4 }, () => new FrameReader());
    const before = process.memoryUsage().arrayBuffers;

    for (const reader of readers) {
      expect(reader.push(head)).toEqual([]);
      for (let at = 0; at < 1_000; at += 1) expect(reader.push(Buffer.from("some"))).toEqual([]);
      expect(reader.broken).toBe(false);
    }

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });
});

/** Whether a frame is an answer that the protocol's document allows. */
function mayAnswer(frame: RawFrame, items: number): boolean {
  if (frame.kind === FRAME_KIND.bad_items) return true;
  let said: unknown;
  try {
    said = JSON.parse(frame.meta.toString());
  } catch {
    return false;
  }
  if (typeof said !== "object" || said === null) return false;
  const { rows, cause, error } = said as Record<string, unknown>;
  if (frame.kind === FRAME_KIND.failed) {
    return (cause === "raised" || cause === "bad_answer" || cause === "exited") && typeof error === "string";
  }
  if (frame.kind !== FRAME_KIND.done) return false;
  if (rows === null) return frame.body.length === 0;
  const lines = frame.body.toString("latin1").split("\n");
  return rows === items && lines.length - 1 === items && lines.at(-1) === "";
}

describe("readAnswer and readStart, fed with garbage", () => {
  /** Near to an answer, so that some are. */
  const nearAnswer = fc
    .tuple(
      fc.constantFrom(FRAME_KIND.done, FRAME_KIND.failed, FRAME_KIND.bad_items),
      fc.constantFrom(
        '{"rows":null}',
        '{"rows":1}',
        '{"cause":"raised","error":"x"}',
        '{"cause":["raised"],"error":"x"}',
      ),
      body,
    )
    .map(([ofKind, text, bytes]) => Buffer.concat(encodeFrame(ofKind, 0, text, bytes)));
  const frame = fc
    .oneof(wholeFrame, nearAnswer)
    .map((bytes) => new FrameReader().push(bytes)[0])
    .filter((whole) => whole !== undefined);

  it("take only what the protocol allows, within the limits, and never throw", () => {
    const taken = new Set<string>();
    fc.assert(
      fc.property(frame, fc.nat(3), (some, items) => {
        const answer = readAnswer(some, items);

        expect(answer !== undefined).toBe(mayAnswer(some, items));
        taken.add(answer?.kind ?? "none");
        if (answer?.kind === "failed") {
          expect(answer.error.length).toBeLessThanOrEqual(LIMITS.errorCharactersMax);
          expect(answer.traceback.length).toBeLessThanOrEqual(LIMITS.tracebackCharactersMax);
        }
        const start = readStart(some);
        if (start === undefined) return;
        expect(some.sequence).toBe(0);
        expect(some.kind).toBe(start instanceof HandlerStartFailed ? FRAME_KIND.start_failed : FRAME_KIND.ready);
      }),
      { numRuns: 1_500 },
    );
    expect([...taken].sort()).toEqual(["bad_items", "done", "failed", "none"]);
  });
});
