import { describe, expect, it } from "vitest";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { WorkerBench } from "../support/a-whole-worker.ts";
import { aOneItemMessage } from "../support/a-worker.ts";

describe("a worker whose handler is being started again", () => {
  it("hands back what waits once that takes long, takes no more, and goes on when the handler is up", async () => {
    const bench = await WorkerBench.running({ hand: 4 });
    bench.delayStart = true;
    bench.handler.dieUnbegun();
    await bench.settle();
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));
    await bench.advance(4_000);
    expect(await bench.lines("handed_back")).toEqual([]);

    await bench.advance(2_000);
    const handedBack = await bench.lines("handed_back");
    expect(handedBack).toContainEqual({ t: "handed_back", batches: [0, 1] });
    await bench.advance(60_000);
    expect(await bench.lines("handed_back")).toEqual(handedBack);
    expect(await bench.visible()).toEqual([0, 1]);
    await bench.endDelay();
    await bench.send(aOneItemMessage(2));
    await bench.advance(1_000);

    expect(bench.handler.inPipe).toEqual([2]);
  });
});

describe("a worker that is asked to leave before its handler is up for the first time", () => {
  async function aStartingWorker(): Promise<WorkerBench> {
    const bench = new WorkerBench();
    bench.delayStart = true;
    await bench.setLane({});
    bench.run();
    await bench.settle();
    return bench;
  }

  it("does not wait for that", async () => {
    const bench = await aStartingWorker();

    bench.worker.leave({ kind: "drain" });
    await bench.advance(100);

    expect(bench.exitCode).toBe(WORKER_EXIT.drained);
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "drain" }]);
  });

  it("ends a handler that comes up too late", async () => {
    const bench = await aStartingWorker();
    bench.worker.leave({ kind: "drain" });
    await bench.advance(100);

    await bench.endDelay();

    expect(bench.handler.isClosed).toBe(true);
    expect(bench.world.callsOf("receive")).toEqual([]);
  });
});
