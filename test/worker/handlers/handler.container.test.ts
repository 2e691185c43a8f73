import { describe, expect, it } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import { aContainer, aReady, ITEMS, META, NO_ROWS } from "./container-session.ts";

describe("a batch on its way to a container", () => {
  it("goes to / as it is, with its job, its id and its attempt", async () => {
    const container = await aContainer();
    const { handler } = await aReady(container.port);

    expect(await handler.run(META, ITEMS)).toEqual(NO_ROWS);
    expect(container.posts).toMatchObject([
      {
        path: "/",
        body: ITEMS.toString(),
        headers: {
          "content-type": "application/json",
          "content-length": String(ITEMS.length),
          "x-cortex-job-id": "e00000000000000a",
          "x-millrace-batch-id": META.batch_id,
          "x-millrace-attempt": "2",
        },
      },
    ]);
  });

  it("says whose part it is, where a batch is taken apart", async () => {
    const container = await aContainer();
    const { handler } = await aReady(container.port);

    await handler.run({ ...META, parent_id: "whole" }, ITEMS);
    await handler.run(META, ITEMS);

    expect(container.posts.map(({ headers }) => headers["x-millrace-parent-id"])).toEqual(["whole", undefined]);
  });

  it("goes one at a time, over one connection", async () => {
    let inWork = 0;
    const container = await aContainer((response) => {
      expect((inWork += 1)).toBe(1);
      setImmediate(() => {
        inWork -= 1;
        response.end();
      });
    });
    const { handler } = await aReady(container.port);
    const probed = container.connections;
    const order: number[] = [];

    const runs = [1, 2, 3].map((first) => handler.run({ ...META, first }, ITEMS, () => order.push(first)));

    expect(await Promise.all(runs)).toEqual([NO_ROWS, NO_ROWS, NO_ROWS]);
    expect(order).toEqual([1, 2, 3]);
    expect(container.connections - probed).toBe(1);
  });

  it("may take longer than an idle connection is kept", async () => {
    const container = await aContainer((response) => setTimeout(() => response.end("[1,2]"), 1500));
    const { handler } = await aReady(container.port);

    expect(await handler.run(META, ITEMS)).toMatchObject({ kind: "done", rows: 2 });
    expect(await handler.run(META, ITEMS)).toMatchObject({ kind: "done", rows: 2 });
  });
});

describe("a container's answer", () => {
  async function answerTo(answer: string | Buffer, cortexProject = false, status = 200) {
    const container = await aContainer((response) => response.writeHead(status).end(answer));
    const { handler, said } = await aReady(container.port, { cortexProject });
    return { answer: await handler.run(META, ITEMS), again: await handler.run(META, ITEMS), said };
  }

  it("with one result an item gives rows, byte for byte", async () => {
    const { answer } = await answerTo('[ 12345678901234567890 ,\n {"a":\n "\\u00e9 \\n"} ]\n');

    expect(answer).toMatchObject({ kind: "done", rows: 2 });
    expect(answer.kind === "done" ? answer.bytes.toString() : "").toBe(
      '{"index":10,"result":12345678901234567890}\n{"index":11,"result":{"a":  "\\u00e9 \\n"}}\n',
    );
  });

  it.each([
    ["nothing", "", 200],
    ["null", " null\n", 200],
    ["no content", "", 204],
  ])("of %s gives no rows", async (_what, text, status) => {
    expect((await answerTo(text, false, status)).answer).toEqual(NO_ROWS);
  });

  it.each([
    ["a list that is too short", "[1]", "a list of 1 for a batch of 2 items"],
    ["a list that is too long", "[1,2,3]", "a list of 3 for a batch of 2 items"],
    ["an empty list", "[ ]", "a list of 0 for a batch of 2 items"],
    ["a text", "ok", "something that is no JSON list"],
    ["an object", '{"results":[1,2]}', "something that is no JSON list"],
    ["half a list", "[1,2", "something that is no JSON list"],
    ["what is no number in JSON", "[1,NaN]", "something that is no JSON list"],
    ["two lists in the clothes of one", '[1],"items":[1,2]', "something that is no JSON list"],
    ["a list that closes more than itself", '[1,2]}, "item_list": {"items": [1,2]', "something that is no JSON list"],
    [
      "bytes that are no UTF-8",
      Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x2c, 0x31, 0x5d]),
      "something that is no JSON list",
    ],
  ])("of %s is a failed attempt, and ignored in a Cortex project with one line", async (_what, bytes, fault) => {
    const error = `The container answered with ${fault}; answer with a list of one result an item, or with nothing`;

    expect((await answerTo(bytes)).answer).toEqual({ kind: "failed", cause: "bad_answer", error, traceback: "" });
    const { answer, again, said } = await answerTo(bytes, true);
    expect([answer, again]).toEqual([NO_ROWS, NO_ROWS]);
    expect(said).toEqual([`${error}. This was ignored, as it always was in a Cortex project`]);
  });

  it("of another status is a failed attempt that shows the end of the body", async () => {
    const long = `${"x".repeat(300_000)}ValueError: out of cheese`;
    const { answer } = await answerTo(long, false, 500);

    expect(answer).toMatchObject({
      kind: "failed",
      cause: "raised",
      error: "The container answered 500 Internal Server Error",
    });
    const traceback = answer.kind === "failed" ? answer.traceback : "";
    expect(traceback).toHaveLength(8192);
    expect(traceback.endsWith("ValueError: out of cheese")).toBe(true);
  });

  it("that refuses items which are no JSON sets them apart", async () => {
    const container = await aContainer((response) => response.writeHead(400).end("bad json"));
    const { handler } = await aReady(container.port);

    expect(await handler.run(META, Buffer.from("[1,{]"))).toEqual({ kind: "bad_items" });
  });

  it("that goes on for ever costs no memory, and ends with the batch's time", async () => {
    const container = await aContainer((response) => {
      const piece = Buffer.alloc(1024 * 1024, "x");
      const write = () => {
        while (!response.destroyed && response.write(piece));
      };
      response.writeHead(500).on("drain", write);
      write();
    });
    const { handler } = await aReady(container.port);
    const before = process.memoryUsage().rss;

    const running = handler.run(META, ITEMS);
    await realClock.sleep(500);
    handler.kill("timed_out");

    expect(await running).toMatchObject({ kind: "failed", cause: "timed_out" });
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  });
});

describe("the completion hook of a container", () => {
  async function hookAnswering(status: number) {
    const container = await aContainer((response) => response.writeHead(status).end("no model"));
    const { handler } = await aReady(container.port);
    return { answer: await handler.complete(), container };
  }

  it("is called at its address", async () => {
    const { answer, container } = await hookAnswering(200);

    expect(answer).toEqual(NO_ROWS);
    expect(container.posts).toMatchObject([
      {
        path: "/on-job-complete",
        body: '{"message":"job_complete"}',
        headers: { "x-cortex-job-id": "e00000000000000a" },
      },
    ]);
  });

  it("is not there when it is not found, and has failed with any other status", async () => {
    expect((await hookAnswering(404)).answer).toEqual(NO_ROWS);
    expect((await hookAnswering(500)).answer).toEqual({
      kind: "failed",
      cause: "raised",
      error: "The container answered 500 Internal Server Error",
      traceback: "no model",
    });
  });
});
