import { describe, expect, it } from "vitest";
import { DatasetError } from "../../services/backends/dataset.ts";
import type { RunMeta } from "../../services/protocol/frames.ts";
import type { RunAnswer } from "../../services/worker/handlers/handler.ts";
import { runAttempt, unreadable } from "../../services/worker/attempt.ts";
import { Hand } from "../../services/worker/hand.ts";
import { PayloadReader } from "../../services/worker/payload-reader.ts";
import { aOneItemMessage } from "../support/a-worker.ts";
import { DONE, RAISED } from "../support/fake-handler.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { WatchedWorld } from "../support/watched-world.ts";

const ROWS = Buffer.from('{"index":10,"result":1}\n');

/** A batch of the lines of `text`, from item 10 of the job and byte 4 of its object on. */
async function aBatch(lines: string) {
  const text = Buffer.from(lines, "latin1");
  const world = new WatchedWorld();
  await world.memory.put("lines", Buffer.concat([Buffer.from('"x"\n'), text]));
  const items = lines.trimEnd().split("\n").length;
  const span = {
    uri: "store:lines",
    etag: "",
    format: "lines" as const,
    start: 4,
    end: 4 + text.length,
    items,
  };
  const message = aOneItemMessage(5, { first_item: 10, pointer: { items, spans: [span] } });
  const held = new Hand().take({ message, receipt: "r", deliveries: 1 }, false);
  const reader = new PayloadReader(world.store, new MemoryDataset());
  reader.group([held]);
  return { message, payload: await reader.read(held) };
}

/** A handler that gives these answers, and remembers what it was asked. */
function answering(...answers: RunAnswer[]) {
  const asked: { first: number; items: number; text: string }[] = [];
  return {
    asked,
    run: ({ first, items }: RunMeta, bytes: Buffer) => {
      asked.push({ first, items, text: bytes.toString().replaceAll(/\s/g, "") });
      return Promise.resolve(answers.shift() ?? DONE);
    },
  };
}

describe("an attempt", () => {
  it("succeeds with the handler's rows and its time", async () => {
    const { message, payload } = await aBatch("1\n2\n");
    const handler = answering({ kind: "done", rows: 1, bytes: ROWS });

    expect(await runAttempt(message, payload, handler, () => 0.1234567)).toEqual({
      line: { batch: 5, attempt: 1, result: "all", items: 2, failed: 0, seconds: 0.123457 },
      rows: { bytes: ROWS, count: 1 },
      errors: [],
    });
    expect(handler.asked).toEqual([{ first: 10, items: 2, text: "[1,2]" }]);
  });

  it("that failed names every item with the place where it lies", async () => {
    const { message, payload } = await aBatch("1\n22\n");

    const end = await runAttempt(message, payload, answering(RAISED), () => 1);

    expect(end).toMatchObject({
      line: { result: "none", failed: 2, cause: "raised" },
      rows: null,
      errors: [
        {
          cause: "raised",
          error: "boom",
          traceback: "tb",
          items: [
            [10, 0, 4, 5],
            [11, 0, 6, 8],
          ],
          uris: ["store:lines"],
        },
      ],
    });
  });

  it("that did not begin charges nobody", async () => {
    const { message, payload } = await aBatch("1\n");

    expect(await runAttempt(message, payload, answering({ kind: "not_begun" }), () => 1)).toEqual({
      kind: "not_begun",
    });
  });

  it("sets items apart that are no JSON, with their exact bytes, and runs their neighbours", async () => {
    const { message, payload } = await aBatch('1\n{"a":\n  3  \n\xff\n');
    const rows = (indexes: readonly number[]) =>
      Buffer.from(indexes.map((index) => `{"index":${String(index)},"result":"a,b"}\n`).join(""));
    const handler = answering({ kind: "bad_items" }, { kind: "done", rows: 2, bytes: rows([10, 11]) });

    const end = await runAttempt(message, payload, handler, () => 1);

    expect(handler.asked[1]).toEqual({ first: 10, items: 2, text: "[1,3]" });
    expect(end).toMatchObject({
      line: { result: "some", items: 4, failed: 2 },
      rows: { count: 2, bytes: rows([10, 12]) },
      errors: [
        {
          cause: "bad_item",
          items: [[11, 0, 6, 11]],
          error: expect.stringContaining("bytes 6 to 11 of store:lines") as string,
        },
        { cause: "bad_item", items: [[13, 0, 18, 19]] },
      ],
    });
  });

  it("does not call the handler again when every item is bad", async () => {
    const { message, payload } = await aBatch("{\n[\n");
    const handler = answering({ kind: "bad_items" });

    const end = await runAttempt(message, payload, handler, () => 1);

    expect(handler.asked).toHaveLength(1);
    expect(end).toMatchObject({ line: { result: "some", failed: 2 }, rows: null });
  });

  it("fails as a whole when the neighbours of a bad item fail", async () => {
    const { message, payload } = await aBatch("1\n{\n");

    const end = await runAttempt(message, payload, answering({ kind: "bad_items" }, RAISED), () => 1);

    expect(end).toMatchObject({ line: { result: "none", failed: 2, cause: "raised" } });
  });

  it("fails when the handler refuses what is JSON, and does not try for ever", async () => {
    const { message, payload } = await aBatch("1\n2\n");

    const end = await runAttempt(message, payload, answering({ kind: "bad_items" }), () => 1);

    expect(end).toMatchObject({ line: { result: "none", cause: "bad_item" } });
  });

  it("fails, and says how, when the user's data changed under it", async () => {
    const { message } = await aBatch("1\n2\n");

    const end = unreadable(message, new DatasetError("changed", "store:lines", "store:lines has changed"));

    expect(end).toMatchObject({
      line: { result: "none", items: 2, failed: 2, cause: "input_changed" },
      errors: [
        {
          error: "store:lines has changed",
          items: [
            [10, 0, 4, 8],
            [11, 0, 4, 8],
          ],
        },
      ],
    });
    expect(() => unreadable(message, new Error("a bug"))).toThrow("a bug");
  });
});
