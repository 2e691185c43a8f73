import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessagePack } from "../../services/backends/packed-messages.ts";
import type { BatchMessage, Message } from "../../services/protocol/messages.ts";
import { aMessage, messages } from "../support/messages.ts";

const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
const aSpan = fc
  .record({
    uri: fc.constantFrom("file:///a", "s3://b/c", ""),
    etag: fc.constantFrom("1", "2"),
    start: count,
    items: count,
  })
  .chain((span) =>
    fc
      .integer({ min: span.start, max: Number.MAX_SAFE_INTEGER })
      .map((end) => ({ ...span, format: "lines" as const, end })),
  );
const aBatch: fc.Arbitrary<BatchMessage> = fc
  .record({
    job: fc.constantFrom("00000000000000aa", "00000000000000ab"),
    epoch: fc.nat(3),
    batch: count,
    attempt: count,
    first_item: count,
    alone: fc.boolean(),
    pointer: fc.record({ items: count, spans: fc.array(aSpan, { maxLength: 4 }) }),
  })
  .map(({ alone, ...message }) => ({ kind: "batch", format: 1, ...message, ...(alone ? { alone } : {}) }));

describe("MessagePack", () => {
  it("gives back every message as it was appended", () => {
    const someMessages = fc.array(aBatch, { maxLength: 20 });
    const keepsAll = fc.property(someMessages, (appended) => {
      expect(roundTrip(appended)).toEqual(appended);
    });
    fc.assert(keepsAll, { numRuns: 300 });
  });

  it("keeps what does not fit the packed form as it is", () => {
    const odd = [aMessage(-1), aMessage(0.5), aMessage(0, { pointer: { items: NaN, spans: [] } })];

    expect(roundTrip(odd)).toEqual(odd);
  });

  it("takes at most 24 bytes for a batch in the middle of a million", () => {
    const pack = new MessagePack();
    const before = pack.append(aMessage(999_998));

    expect(pack.append(aMessage(999_999)) - before).toBeLessThanOrEqual(24);
  });

  it("refuses to read what it does not hold", () => {
    const pack = new MessagePack();
    pack.append(aMessage());
    const cut = MessagePack.of(pack.tables, pack.bytes.subarray(0, 5));
    const withoutSources = MessagePack.of({ heads: [], sources: [], others: [] }, pack.bytes);

    expect(() => pack.read(pack.length)).toThrow(RangeError);
    expect(() => cut.read(0)).toThrow(RangeError);
    expect(() => withoutSources.read(0)).toThrow(RangeError);
  });

  it("says each source once", () => {
    const pack = new MessagePack();
    for (const message of messages(100)) pack.append(message);

    expect(pack.tables.sources).toHaveLength(1);
    expect(pack.tables.heads).toHaveLength(1);
  });
});

function roundTrip(appended: readonly Message[]): readonly Message[] {
  const pack = new MessagePack();
  for (const message of appended) pack.append(message);
  const wire = MessagePack.of(pack.tables, pack.bytes);
  const read: Message[] = [];
  for (let at = 0; at < wire.length; at = wire.next) read.push(wire.read(at));
  return read;
}
