import { describe, expect, it } from "vitest";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { WorkerBench } from "../support/a-whole-worker.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";

const { name } = anIdentity();

describe("a worker that leaves", () => {
  it("aborts, hands back and releases what it holds when its lane says stop", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));

    await bench.setLane({ stop: true });
    await bench.advance(2000);

    expect(bench.handler.kills).toContain("aborted");
    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect((await bench.ledger()).slice(-2)).toEqual([
      { t: "handed_back", batches: [0, 1] },
      { t: "left", why: "stop" },
    ]);
    expect(await bench.lines("outcome")).toEqual([]);
    expect(await bench.visible()).toEqual([0, 1]);
  });

  it("leaves when its index is not kept, but only empty-handed and after the split has ended", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));
    await bench.setLane({ keep: { 1: 0 } });
    await bench.advance(1000);
    expect(bench.exitCode).toBeUndefined();
    await bench.endSplit();
    await bench.advance(1000);
    expect(bench.exitCode).toBeUndefined();

    bench.handler.answer();
    await bench.advance(2000);

    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "excess" }]);
  });

  it("finishes what its handler has when it is drained, hands back the rest, and says so by its exit code", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));

    bench.worker.leave({ kind: "drain" });
    await bench.settle();
    bench.handler.answer();
    await bench.advance(1000);

    expect(await bench.lines("outcome")).toMatchObject([{ batch: 0 }]);
    expect(await bench.lines("handed_back")).toEqual([{ t: "handed_back", batches: [1] }]);
    expect(bench.exitCode).toBe(WORKER_EXIT.drained);
  });

  it("waits for its handler no longer when a stop comes while it is drained", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));

    bench.worker.leave({ kind: "drain" });
    await bench.advance(1000);
    expect(bench.exitCode).toBeUndefined();
    await bench.setLane({ stop: true });
    await bench.advance(100);

    expect(bench.handler.kills).toContain("aborted");
    expect(await bench.lines("handed_back")).toEqual([{ t: "handed_back", batches: [0] }]);
    expect(bench.exitCode).toBe(WORKER_EXIT.drained);
  });

  it("waits for the answer of its poll, and hands back what that brought", async () => {
    const bench = await WorkerBench.running();

    bench.worker.leave({ kind: "drain" });
    await bench.send(aOneItemMessage(2));
    await bench.advance(1000);

    expect(bench.exitCode).toBe(WORKER_EXIT.drained);
    expect(bench.handler.seen).toEqual([]);
    expect(await bench.visible()).toEqual([2]);
  });

  it("writes handed_back, and asks nothing of the queue, when its service is gone", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));
    bench.world.before = (call) => {
      if (/^(ack|release|extend|receive) /.test(call)) throw new Error("asked a queue that is gone");
    };

    bench.worker.leave({ kind: "lost" });
    await bench.advance(1000);

    expect((await bench.ledger()).slice(-2)).toEqual([
      { t: "handed_back", batches: [0] },
      { t: "left", why: "lost" },
    ]);
    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect(bench.handler.kills).toContain("aborted");
  });

  it("takes a queue that is gone in the middle of an ack for the end of its service", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));
    bench.world.before = (call) => {
      if (call.startsWith("ack")) throw Object.assign(new Error("the connection has ended"), { name: "QueueClosed" });
    };

    bench.handler.answer();
    await bench.advance(1000);

    expect(bench.error).toBeUndefined();
    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "lost" }]);
  });

  it("throws what broke, with its handlers closed", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));
    bench.world.before = (call) => {
      if (call.includes(`/ledger/${name}`)) throw new Error("disk full");
    };

    bench.handler.answer();
    await bench.advance(1000);

    expect(bench.error).toEqual(new Error("disk full"));
    expect(bench.handler.isClosed).toBe(true);
    expect(bench.world.callsOf("ack")).toEqual([]);
  });
});
