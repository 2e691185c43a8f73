import { describe, expect, it } from "vitest";
import { RunnerBench } from "../support/a-runner.ts";

describe("a runner that ends", () => {
  it("waits for what the handlers have when it is drained, and begins nothing more", async () => {
    const bench = await RunnerBench.started();
    await bench.take([0, 1]);

    const drained = bench.runner.drain(20_000);
    await bench.answer(10);
    await drained;

    expect(bench.handler.inPipe).toEqual([]);
    expect(bench.hand.batches()).toEqual([1]);
    expect(bench.world.clock.sleeping).toBe(0);
  });

  it("gives a drain up after its time", async () => {
    const bench = await RunnerBench.started();
    await bench.take([0]);

    const drained = bench.runner.drain(20_000);
    await bench.world.clock.advance(20_000);
    await drained;

    expect(bench.handler.inPipe).toEqual([0]);
  });

  it("keeps in the hand, and charges nobody for, what it aborts", async () => {
    const bench = await RunnerBench.started();
    await bench.take([0, 1]);

    await bench.runner.abort();
    await bench.settle();

    expect(bench.handler.kills).toEqual(["aborted"]);
    expect(bench.hand.batches()).toEqual([0, 1]);
    expect(await bench.outcomes()).toEqual([]);
  });
});
