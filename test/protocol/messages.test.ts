import { describe, expect, it } from "vitest";
import { LIMITS } from "../../services/protocol/limits.ts";
import { carried, decodeMessage, encodeMessage } from "../../services/protocol/messages.ts";
import type { BatchPointer, Span } from "../../services/protocol/pointers.ts";
import { encodeBody } from "../../services/backends/sqs/bodies.ts";
import { aMessage } from "../support/messages.ts";

/** A pointer whose spans take so many bytes as JSON. */
function aPointerOf(bytes: number, spanCount: number, character = "x"): BatchPointer {
  const span: Span = { uri: "s3://b/", etag: "e", format: "lines", start: 0, end: 2, items: 1 };
  const spans = Array.from({ length: spanCount }, () => span);
  const missing = bytes - Buffer.byteLength(JSON.stringify(spans));
  const uri = span.uri + character.repeat(Math.floor(missing / Buffer.byteLength(character)));
  return { items: spanCount, spans: [{ ...span, uri }, ...spans.slice(1)] };
}

describe("a batch's pointer", () => {
  it("is carried whole while its spans take as many bytes as a message has for them", () => {
    const fits = aPointerOf(LIMITS.messageSpansBytesMax, 1_000);
    const tooLong = aPointerOf(LIMITS.messageSpansBytesMax + 1, 1_000);

    expect(carried(fits)).toBe(fits);
    expect(carried(tooLong)).toEqual({ items: 1_000, spans: [] });
  });

  it.each(["x", "é", "😀", "\ufffe"])("fits a message of SQS whenever it is carried whole (%j)", (character) => {
    const longest = { characters: LIMITS.pathCharactersMax, count: 8 };
    const uri = `s3://b/${character.repeat(longest.characters)}`.slice(0, longest.characters);
    const span: Span = { uri, etag: "e".repeat(64), format: "lines", start: 0, end: 2, items: 1 };
    const few = { items: 8, spans: Array.from({ length: longest.count }, () => span) };
    const many = aPointerOf(LIMITS.messageSpansBytesMax, 20, character);

    for (const pointer of [carried(few), carried(many)]) {
      expect(pointer.spans).not.toEqual([]);
      expect(Buffer.byteLength(encodeBody(aMessage(0, { pointer })))).toBeLessThan(1_048_576);
    }
  });
});

describe("what is no message", () => {
  const [span] = aMessage().pointer.spans;
  const ticket = { kind: "completion", format: 1, job: "e00000000000000a", epoch: 2, opening: 3 };
  const withSpan = (change: object) => ({ pointer: { items: 1, spans: [{ ...span, ...change }] } });
  const nothing = { job: undefined, epoch: undefined, batch: undefined, attempt: undefined, first_item: undefined };

  it.each([
    { job: "" },
    { job: 7 },
    { epoch: "1" },
    { epoch: -1 },
    { batch: 0.5 },
    { batch: null },
    { attempt: 0 },
    { first_item: 2 ** 60 },
    { alone: "yes" },
    { pointer: null },
    { pointer: [] },
    { pointer: { items: 0, spans: [] } },
    { pointer: { items: 1 } },
    { pointer: { items: 1, spans: [null] } },
    withSpan({ uri: "" }),
    withSpan({ etag: 1 }),
    withSpan({ format: "xml" }),
    withSpan({ start: -1 }),
    withSpan({ start: 10, end: 9 }),
    withSpan({ items: 0 }),
    ...Object.keys(nothing).map((key) => ({ [key]: undefined })),
  ])("is a batch with %j", (change) => {
    const text = JSON.stringify({ ...aMessage(3), ...change });

    expect(decodeMessage(text)).toBeUndefined();
  });

  it.each([{ job: "" }, { epoch: null }, { opening: -1 }, { opening: "3" }])("is a ticket with %j", (change) => {
    expect(decodeMessage(JSON.stringify({ ...ticket, ...change }))).toBeUndefined();
  });

  it("is not a batch whose spans stand in its split file", () => {
    const message = aMessage(3, { pointer: { items: 10, spans: [] } });

    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });
});
