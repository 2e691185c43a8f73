import { describe, expect, it } from "vitest";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { encodeLine } from "../../services/protocol/ledger.ts";
import { HandlerStartFailed } from "../../services/worker/handlers/handler.ts";
import { LANE, WorkerBench } from "../support/a-whole-worker.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";

const { api, job } = anIdentity();

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

    await bench.setLane({ epoch: 2, job: "e0000000000000ff" });
    await bench.send(aOneItemMessage(5, { epoch: 2, job: "e0000000000000ff" }));
    await bench.advance(1000);

    expect(bench.exitCode).toBe(WORKER_EXIT.done);
    expect(bench.world.callsOf("ack")).toEqual([]);
    expect(await bench.visible()).toEqual([5]);
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "zombie" }]);
  });

  it.each([
    ["the same", 1, "e0000000000000ff"],
    ["a later", 7, "e0000000000000ff"],
    ["a later", 7, job],
  ])(
    "drops what was sent for another job in %s epoch, while the lane is its own: its record began anew",
    async (_, epoch, of) => {
      const bench = await WorkerBench.running();

      await bench.send(aOneItemMessage(0, { epoch, job: of }));
      await bench.send({ kind: "completion", format: 1, job: of, epoch, opening: 1 });
      await bench.send(aOneItemMessage(1));

      expect(bench.handler.inPipe).toEqual([1]);
      expect(bench.world.callsOf("ack")).toHaveLength(2);
      expect(bench.exitCode).toBeUndefined();
    },
  );

  it("hands back what was sent for another job in an epoch of the same number when the lane is that one's", async () => {
    const bench = await WorkerBench.running();

    await bench.setLane({ job: "e0000000000000ff" });
    await bench.send(aOneItemMessage(5, { job: "e0000000000000ff" }));
    await bench.advance(1000);

    expect(bench.world.callsOf("ack")).toEqual([]);
    expect(await bench.visible()).toEqual([5]);
    expect(bench.handler.seen).toEqual([]);
  });

  it("hands back a message of a newer epoch while the lane's record cannot be read", async () => {
    const bench = await WorkerBench.running();
    const read = bench.world.memory.read.bind(bench.world.memory);
    bench.world.memory.read = async (key) => {
      const found = await read(key);
      return found === undefined ? undefined : { ...found, bytes: Buffer.from("{") };
    };

    await bench.send(aOneItemMessage(5, { epoch: 2 }));
    await bench.advance(1000);

    expect(bench.world.callsOf("ack")).toEqual([]);
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "zombie" }]);
  });

  it("acks a copy of what it holds without running it", async () => {
    const bench = await WorkerBench.running();

    await bench.send(aOneItemMessage(0));
    await bench.send(aOneItemMessage(0));

    expect(bench.handler.depth).toBe(1);
    expect(bench.world.callsOf("ack")).toHaveLength(1);
    expect(await bench.visible()).toEqual([]);
  });

  it("runs a pointer that comes a second time alone, after a started line", async () => {
    const bench = new WorkerBench();
    await bench.world.memory.put("items", Buffer.from("0\n1\n"));
    await bench.setLane({});
    await bench.world.lanes.send(LANE, [aOneItemMessage(0)]);
    await bench.visible();
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
    await bench.visible();
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
    expect(await bench.visible()).toEqual([1]);
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
