import { describe, expect, it } from "vitest";
import type { RunMeta } from "../../services/protocol/frames.ts";
import type { BatchMessage } from "../../services/protocol/messages.ts";
import { runAttempt } from "../../services/worker/attempt.ts";
import type { RunAnswer } from "../../services/worker/handlers/handler.ts";
import type { Payload } from "../../services/worker/payload-reader.ts";

const URI = "file:///data/in.jsonl";
const FRAME_META_BYTES_MAX = 0xffff;

function aMessage(items: number): BatchMessage {
  return {
    kind: "batch",
    format: 1,
    job: "6a0000000000000a",
    epoch: 1,
    batch: 3,
    attempt: 1,
    first_item: 1000,
    pointer: { spans: [{ uri: URI, etag: "e", format: "lines", start: 0, end: 10, items }], items },
  };
}

function payloadOf(items: readonly string[]): Payload {
  return {
    array: Buffer.from(`[${items.join(",")}]`),
    items: () => items.map((text, at) => ({ uri: URI, start: at, end: at + 1, bytes: Buffer.from(text) })),
  };
}

/** Answers each item with itself, as a host does; refuses what is no JSON. */
class Echo {
  readonly metas: RunMeta[] = [];

  run(meta: RunMeta, items: Buffer): Promise<RunAnswer> {
    this.metas.push(meta);
    try {
      const values = JSON.parse(items.toString()) as unknown[];
      const rows = values.map((result, at) => `${JSON.stringify({ index: meta.first + at, result })}\n`);
      return Promise.resolve({ kind: "done", rows: rows.length, bytes: Buffer.from(rows.join("")) });
    } catch {
      return Promise.resolve({ kind: "bad_items" });
    }
  }
}

describe("runAttempt", () => {
  it("gives the rows of good items their own indexes when bad neighbours were set apart", async () => {
    const payload = payloadOf(["1", "{broken", '"two, three"', "4"]);

    const end = await runAttempt(aMessage(4), payload, new Echo(), () => 1);

    if ("kind" in end) throw new Error("it was run");
    expect(end.line).toMatchObject({ result: "some", items: 4, failed: 1 });
    expect(end.rows?.bytes.toString()).toBe(
      '{"index":1000,"result":1}\n{"index":1002,"result":"two, three"}\n{"index":1003,"result":4}\n',
    );
    expect(end.errors.flatMap(({ items }) => items.map(([index]) => index))).toEqual([1001]);
  });

  it("sets one bad item of a very large batch apart without outgrowing a frame's meta", async () => {
    const items = Array.from({ length: 50_000 }, (_, at) => (at === 7 ? "nope" : String(at)));
    const echo = new Echo();

    const end = await runAttempt(aMessage(items.length), payloadOf(items), echo, () => 1);

    if ("kind" in end) throw new Error("it was run");
    expect(end.rows?.count).toBe(49_999);
    for (const meta of echo.metas) expect(JSON.stringify(meta).length).toBeLessThan(FRAME_META_BYTES_MAX);
  });
});
