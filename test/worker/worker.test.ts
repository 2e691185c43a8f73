import { describe, expect, it } from "vitest";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { encodeLine } from "../../services/protocol/ledger.ts";
import { HandlerStartFailed } from "../../services/worker/handlers/handler.ts";
import { LANE, WorkerBench } from "../support/a-whole-worker.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";

const { api, job, name } = anIdentity();

/** A poll of somebody else: what is visible in the lane. */
async function visible(bench: WorkerBench): Promise<number[]> {
  const deliveries = await bench.world.lanes.receive(LANE, { messagesMax: 10, waitSeconds: 0 });
  return deliveries.flatMap(({ message }) => (message.kind === "batch" ? message.batch : [])).sort();
}

describe("a worker's first acts", () => {
  it.each([
    { told: "another job", lane: { job: "another" } },
    { told: "another epoch", lane: { epoch: 2 } },
    { told: "stop", lane: { stop: true } },
  ])("leaves before it starts a handler when its lane says $told", async ({ lane }) => {
    const bench = await WorkerBench.running(lane);

    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect(bench.handlers).toEqual([]);
  });

  it("says that its handler is ready, and whether it has a completion hook", async () => {
    const bench = await WorkerBench.running();

    expect(await bench.lines("ready")).toEqual([{ t: "ready", hook: true }]);
  });

  it("writes down why its handler cannot start, and crashes", async () => {
    const bench = new WorkerBench();
    bench.startFault = new HandlerStartFailed("no module named numpy", "Traceback …");
    await bench.setLane({});

    bench.run();
    await bench.settle();

    expect(await bench.lines("start_failed")).toEqual([
      { t: "start_failed", error: "no module named numpy", traceback: "Traceback …" },
    ]);
    expect(bench.said).toEqual(["the handler could not start: no module named numpy"]);
    expect(bench.exitCode).toBe(WORKER_EXIT.crashed);
  });
});

describe("a worker at work", () => {
  it("receives, attempts, settles, and says what it holds", async () => {
    const bench = await WorkerBench.running();

    await bench.send(aOneItemMessage(3), aOneItemMessage(4));
    await bench.advance(5);
    expect((await bench.lines("held")).at(-1)).toMatchObject({ held: [[3, 4]], polled: -1 });
    bench.handler.answer();
    await bench.settle();
    await bench.advance(5);

    expect(await bench.lines("outcome")).toMatchObject([{ batch: 3, result: "all" }]);
    expect(bench.world.callsOf("ack")).toHaveLength(1);
  });

  it("names the beat that it had read before an empty poll began", async () => {
    const bench = await WorkerBench.running({ beat: 7 });

    await bench.advance(510);
    await bench.setLane({ beat: 8 });
    await bench.advance(60_000);

    const polled = (await bench.lines("held")).map((line) => line.polled);
    expect(polled.at(-1)).toBe(8);
    expect(polled.every((beat) => beat >= 7)).toBe(true);
  });

  it("says once a lease that it lives, also empty-handed, and renews what it holds", async () => {
    const bench = await WorkerBench.running();
    await bench.advance(180_000);
    expect((await bench.lines("held")).length).toBeGreaterThanOrEqual(3);

    await bench.send(aOneItemMessage(0));
    await bench.advance(60_000);

    expect(bench.world.callsOf("extend")).toHaveLength(3);
  });

  it("drops messages of an older epoch", async () => {
    const bench = await WorkerBench.running({ epoch: 1 });

    await bench.send(aOneItemMessage(0, { epoch: 0 }));

    expect(bench.handler.seen).toEqual([]);
    expect(bench.world.callsOf("ack")).toHaveLength(1);
  });

  it("hands back, never acks, a message of a newer epoch, and leaves: it is the zombie", async () => {
    const bench = await WorkerBench.running();

    await bench.send(aOneItemMessage(5, { epoch: 2 }));
    await bench.advance(1000);

    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect(bench.world.callsOf("ack")).toEqual([]);
    expect(await visible(bench)).toEqual([5]);
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "zombie" }]);
  });

  it("acks a copy of what it holds without running it", async () => {
    const bench = await WorkerBench.running();

    await bench.send(aOneItemMessage(0));
    await bench.send(aOneItemMessage(0));

    expect(bench.handler.depth).toBe(1);
    expect(bench.world.callsOf("ack")).toHaveLength(1);
    expect(await visible(bench)).toEqual([]);
  });

  it("runs a pointer that comes a second time alone, after a started line", async () => {
    const bench = new WorkerBench();
    await bench.world.memory.put("items", Buffer.from("0\n1\n"));
    await bench.setLane({});
    await bench.world.lanes.send(LANE, [aOneItemMessage(0)]);
    await visible(bench);
    await bench.advance(61_000);

    bench.run();
    await bench.settle();

    expect(await bench.lines("started")).toEqual([{ t: "started", batch: 0, attempt: 1 }]);
    expect(bench.handler.inPipe).toEqual([0]);
  });

  it("drops a pointer that comes a second time when its attempt was judged", async () => {
    const bench = new WorkerBench();
    await bench.setLane({});
    const verdict = { t: "died", batch: 0, attempt: 1, worker: "1-1-9-ff", cause: "worker_died" } as const;
    await bench.world.memory.append(jobKeys(api, job).verdict(1, 0), Buffer.from(encodeLine(verdict)), 0);
    await bench.world.lanes.send(LANE, [aOneItemMessage(0)]);
    await visible(bench);
    await bench.advance(61_000);

    bench.run();
    await bench.settle();

    expect(bench.handler.seen).toEqual([]);
    expect(bench.world.callsOf("ack")).toHaveLength(1);
  });

  it("takes no more while a batch runs for long, so that what it handed back goes to others", async () => {
    const bench = await WorkerBench.running({ hand: 4 });
    await bench.send(aOneItemMessage(0), aOneItemMessage(1));
    await bench.advance(6_000);
    expect(await bench.lines("handed_back")).not.toEqual([]);
    const handedBack = (await bench.lines("handed_back")).length;

    await bench.advance(10_000);

    expect((await bench.lines("handed_back")).length).toBeLessThanOrEqual(handedBack + 1);
    expect(await visible(bench)).toEqual([1]);
    bench.handler.answer();
    await bench.advance(70_000);
    expect(bench.handler.inPipe).toEqual([1]);
  });

  it("tells its handler the total once the split has ended", async () => {
    const bench = await WorkerBench.running();

    await bench.endSplit(41);
    await bench.advance(200);

    expect(bench.handler.totalBatches).toBe(41);
  });
});

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
    expect(await visible(bench)).toEqual([0, 1]);
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
    expect(await visible(bench)).toEqual([2]);
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
