import { describe, expect, it } from "vitest";
import { RunnerBench } from "../support/a-runner.ts";
import { aJobSpec } from "../support/builders.ts";
import { DONE } from "../support/fake-handler.ts";

describe("the runner", () => {
  it("gives a handler one batch at a time until it knows how long one takes", async () => {
    const bench = await RunnerBench.started();

    await bench.take([0, 1, 2]);

    expect(bench.handler.inPipe).toEqual([0]);
    expect(bench.handler.seen[0]).toMatchObject({ items: expect.stringMatching(/^\[\s*0\s*\]$/) as string });
  });

  it.each([
    { ms: 300, depth: 1 },
    { ms: 100, depth: 2 },
    { ms: 5, depth: 4 },
    { ms: 0.5, depth: 9 },
  ])("keeps $depth batches of $ms ms in a pipe", async ({ ms, depth }) => {
    const bench = await RunnerBench.started();

    await bench.take([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await bench.answer(ms);

    expect(bench.handler.depth).toBe(depth);
  });

  it("fills the emptiest of several pipes", async () => {
    const bench = await RunnerBench.started({ processes: 2 });

    await bench.take([0, 1, 2, 3]);

    expect(bench.handlers.map(({ inPipe }) => inPipe)).toEqual([[0], [1]]);
  });

  it("settles what comes out: outcome with its time, then the ack, then the hand is lighter", async () => {
    const bench = await RunnerBench.started();

    await bench.take([3]);
    await bench.answer(250);

    expect(await bench.outcomes()).toMatchObject([{ batch: 3, attempt: 1, result: "all", items: 1, seconds: 0.25 }]);
    expect(bench.world.callsOf("ack")).toHaveLength(1);
    expect(bench.hand.size).toBe(0);
    expect(bench.runner.isIdle).toBe(true);
  });

  it("starts nothing that the lane record does not allow", async () => {
    const bench = await RunnerBench.started();
    bench.mayStart = () => Promise.resolve(false);

    await bench.take([0]);

    expect(bench.handler.seen).toEqual([]);
    expect(bench.hand.size).toBe(1);
  });

  it("charges the batch that ran when its handler died, puts back what had not begun, and starts another", async () => {
    const bench = await RunnerBench.started();
    await bench.take([0, 1, 2]);
    await bench.answer(100);
    const first = bench.handler;
    expect(first.inPipe).toEqual([1, 2]);

    first.die();
    await bench.settle();

    expect(await bench.outcomes()).toMatchObject([{ batch: 0 }, { batch: 1, result: "none", cause: "killed" }]);
    expect(bench.starts).toBe(2);
    expect(bench.handler.inPipe).toEqual([2]);
    await bench.answer();
    expect(await bench.outcomes()).toHaveLength(3);
    expect(bench.broken).toEqual([]);
  });

  it("fails a batch that no handler lives to begin, and charges no neighbour for it", async () => {
    const bench = await RunnerBench.started();
    await bench.take([0, 1, 2]);
    await bench.answer(100);
    expect(bench.handler.inPipe).toEqual([1, 2]);

    bench.handler.dieUnbegun();
    await bench.settle();
    expect(bench.handler.depth).toBe(1); // from now on each of the two goes with nobody beside it
    if (bench.handler.inPipe[0] === 2) await bench.answer();
    for (let deaths = 2; deaths <= 4; deaths += 1) {
      expect(bench.handler.inPipe).toEqual([1]);
      bench.handler.dieUnbegun();
      await bench.settle();
    }

    const ends = (await bench.outcomes()).map(({ batch, result, cause }) => [batch, result, cause]);
    expect(ends).toEqual([
      [0, "all", undefined],
      [2, "all", undefined],
      [1, "none", "killed"],
    ]);
  });

  it("runs what was put back before what waits, and nothing twice", async () => {
    const bench = await RunnerBench.started();
    await bench.take([0, 1, 2, 3, 4, 5, 6]);
    await bench.answer(5);
    // While it is asked whether batch 5 may start, the handler dies, and batches 3 and 4 come back to the front.
    let dead = false;
    bench.mayStart = async () => {
      if (!dead) bench.handler.die();
      dead = true;
      await new Promise((resolve) => setImmediate(resolve));
      return true;
    };
    bench.handler.answer();
    await bench.settle();
    for (let left = 0; left < 8 && bench.handler.depth > 0; left += 1) await bench.answer(100);

    const batches = (await bench.outcomes()).map(({ batch }) => batch);
    expect(batches.sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(bench.hand.size).toBe(0);
  });

  it("is sick after three starts in a row that came to nothing", async () => {
    const bench = await RunnerBench.started();
    bench.startsFail = true;

    bench.handler.die();
    await bench.settle();

    expect(bench.starts).toBe(1 + 3);
    expect(bench.sick.map(({ message }) => message)).toEqual(["no module named numpy"]);
  });

  it("tells each handler the number of batches, also those that start later", async () => {
    const bench = await RunnerBench.started();

    bench.runner.tellTotalBatches(77);
    bench.handler.die();
    await bench.settle();

    expect(bench.handlers.map(({ totalBatches }) => totalBatches)).toEqual([77, 77]);
  });

  it("throws when a handler cannot start at first", async () => {
    const bench = new RunnerBench();
    bench.startsFail = true;

    await expect(bench.runner.start(new AbortController().signal)).rejects.toThrow("no module named numpy");
  });
});

describe("a batch that runs alone", () => {
  it("begins only when nothing else runs, after its started line is durable", async () => {
    const bench = await RunnerBench.started({ processes: 2 });
    await bench.take([0]);
    await bench.take([1], true);
    expect(bench.handlers.map(({ inPipe }) => inPipe)).toEqual([[0], []]);

    const startedWhenRun: boolean[] = [];
    bench.world.before = async (call) => {
      if (!call.includes("/ledger/")) return;
      startedWhenRun.push(bench.handlers.some(({ inPipe }) => inPipe.includes(1)));
      await Promise.resolve();
    };
    await bench.answer(1, DONE, bench.handlers[0]);

    expect(startedWhenRun).not.toContain(true);
    expect(await bench.ledger()).toContainEqual({ t: "started", batch: 1, attempt: 1 });
    expect(bench.handlers.flatMap(({ inPipe }) => inPipe)).toEqual([1]);
  });

  it("lets nothing run beside it", async () => {
    const bench = await RunnerBench.started({ processes: 2 });
    await bench.take([0], true);
    await bench.take([1, 2]);

    expect(bench.handlers.flatMap(({ inPipe }) => inPipe)).toEqual([0]);
    await bench.answer(1, DONE, bench.handlers[0]);

    expect(bench.handlers.map(({ inPipe }) => inPipe.length)).toEqual([1, 1]);
  });

  it("does not begin after the worker was told to stop while its started line was written", async () => {
    const bench = await RunnerBench.started();
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    bench.world.before = (call) => (call.includes("/ledger/") ? opened : undefined);
    await bench.take([0], true);

    const aborted = bench.runner.abort();
    open();
    await aborted;
    await bench.settle();

    expect(bench.handler.seen).toEqual([]);
    expect(bench.hand.batches()).toEqual([0]);
  });
});

describe("the runner's watch", () => {
  it("charges no batch with the time in which its own process stood still", async () => {
    const bench = await RunnerBench.started({ spec: aJobSpec({ batch_timeout_seconds: 10 }) });
    const { clock } = bench.world;
    const sleep = clock.sleep.bind(clock);
    let frozenMs = 12_000;
    clock.sleep = (milliseconds, signal) => {
      const sleeping = sleep(milliseconds + frozenMs, signal);
      frozenMs = 0;
      return sleeping;
    };
    const over = new AbortController();
    const watching = bench.runner.watch(over.signal).catch(() => undefined);

    await bench.take([0]);
    await clock.advance(12_000 + 9_900);
    expect(bench.handlers[0]?.kills).toEqual([]);
    await clock.advance(400);

    expect(bench.handlers[0]?.kills).toEqual(["timed_out"]);
    over.abort();
    await watching;
  });

  it("kills a handler whose batch has had its time, which is a failed attempt", async () => {
    const bench = await RunnerBench.started({ spec: aJobSpec({ batch_timeout_seconds: 10 }) });
    const over = new AbortController();
    const watching = bench.runner.watch(over.signal).catch(() => undefined);

    await bench.take([0]);
    await bench.world.clock.advance(10_000);
    expect(bench.handler.kills).toEqual([]);
    await bench.world.clock.advance(200);
    await bench.settle();

    expect(bench.handlers[0]?.kills).toEqual(["timed_out"]);
    expect(await bench.outcomes()).toMatchObject([{ batch: 0, result: "none", cause: "timed_out" }]);
    over.abort();
    await watching;
  });

  it("counts neither an idle time nor the reading of bytes as a batch's time", async () => {
    const bench = await RunnerBench.started({ spec: aJobSpec({ batch_timeout_seconds: 10 }) });
    const over = new AbortController();
    const watching = bench.runner.watch(over.signal).catch(() => undefined);
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    bench.world.before = (call) => (call === "get items" ? opened : undefined);

    await bench.world.clock.advance(60_000);
    await bench.take([0, 1]);
    await bench.world.clock.advance(6_000);
    open();
    await bench.settle();

    expect(bench.handler.kills).toEqual([]);
    expect(bench.handler.inPipe).toEqual([0]);
    expect(bench.hand.batches()).toEqual([0, 1]);
    over.abort();
    await watching;
  });

  it("hands back what waits behind a batch that has run for five seconds", async () => {
    const bench = await RunnerBench.started();
    const over = new AbortController();
    const watching = bench.runner.watch(over.signal).catch(() => undefined);
    const heldAtRelease: number[][] = [];
    bench.world.before = (call) => {
      if (call.startsWith("release")) heldAtRelease.push(bench.hand.batches());
    };

    await bench.take([0, 1, 2]);
    await bench.world.clock.advance(5_200);
    await bench.settle();

    expect(await bench.ledger()).toContainEqual({ t: "handed_back", batches: [1, 2] });
    expect(bench.world.callsOf("release")).toHaveLength(1);
    // A copy that comes back to this very worker is not taken for one that it holds.
    expect(heldAtRelease).toEqual([[0]]);
    over.abort();
    await watching;
  });
});
