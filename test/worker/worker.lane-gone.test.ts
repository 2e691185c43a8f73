import { describe, expect, it } from "vitest";
import { LaneGone } from "../../services/backends/batch-queue.ts";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { WorkerBench } from "../support/a-whole-worker.ts";
import { aOneItemMessage } from "../support/a-worker.ts";

function laneGone(): LaneGone {
  return new LaneGone("lane 0 has no queue");
}

/** From now on the lane of the bench is not there. */
function takeLaneAway(bench: WorkerBench, calls = /^(receive|ack|extend|release) /): void {
  bench.world.before = (call) => {
    if (calls.test(call)) throw laneGone();
  };
}

/** It ended well, with all that it had done and held in its ledger. */
async function expectGoodEnd(bench: WorkerBench, why: string): Promise<void> {
  expect(bench.error).toBeUndefined();
  expect(await bench.lines("left")).toEqual([{ t: "left", why }]);
}

describe("a worker whose lane is gone", () => {
  it("hears of it by a poll, hands back in its ledger what it holds, and is done", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));

    takeLaneAway(bench);
    await bench.advance(1000);

    expect((await bench.ledger()).slice(-2)).toEqual([
      { t: "handed_back", batches: [0, 1] },
      { t: "left", why: "lost" },
    ]);
    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    await expectGoodEnd(bench, "lost");
  });

  it("hears of it by a renewal", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));

    takeLaneAway(bench, /^extend /);
    await bench.advance(21_000);

    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    await expectGoodEnd(bench, "lost");
  });

  it("hears of it by an ack, whose outcome stands in the ledger", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));

    takeLaneAway(bench, /^ack /);
    bench.handler.answer();
    await bench.advance(1000);

    expect(await bench.lines("outcome")).toMatchObject([{ batch: 0, result: "all" }]);
    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    await expectGoodEnd(bench, "lost");
  });

  it("ends well when an ack under way fails after another call has told of it", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0));
    let failAck: () => void = () => undefined;
    bench.world.before = async (call) => {
      if (call.startsWith("receive")) throw laneGone();
      if (!call.startsWith("ack")) return;
      await new Promise<void>((resolve) => (failAck = resolve));
      throw laneGone();
    };

    bench.handler.answer();
    await bench.advance(1000);
    expect(bench.exitCode).toBeUndefined();
    failAck();
    await bench.advance(1000);

    expect(await bench.lines("outcome")).toMatchObject([{ batch: 0, result: "all" }]);
    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    await expectGoodEnd(bench, "lost");
  });

  it("leaves as it was asked to when it can hand nothing back", async () => {
    const bench = await WorkerBench.running();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));

    takeLaneAway(bench, /^(ack|release) /);
    bench.worker.leave({ kind: "drain" });
    await bench.settle();
    bench.handler.answer();
    await bench.advance(1000);

    expect(await bench.lines("outcome")).toMatchObject([{ batch: 0 }]);
    expect(await bench.lines("handed_back")).toHaveLength(1);
    expect(bench.exitCode).toBe(WORKER_EXIT.drained);
    await expectGoodEnd(bench, "drain");
  });
});
