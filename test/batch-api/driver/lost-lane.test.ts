import { describe, expect, it } from "vitest";
import { Replica } from "../../../services/batch-api/driver/replica.ts";
import { LaneGone } from "../../../services/backends/batch-queue.ts";
import { PoolRefused } from "../../../services/backends/worker-pool.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { EMPTY_LANE, type LaneRecord } from "../../../services/protocol/lanes.ts";
import { aRunningJob, changeState, JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const KEYS = jobKeys(JOB.api, JOB.job);

async function laneRecord(bench: DriverBench, lane: number): Promise<LaneRecord> {
  const found = await bench.world.memory.read(apiKeys(JOB.api).lane(lane));
  return JSON.parse(found?.bytes.toString() ?? "null") as LaneRecord;
}

/** A job with one settled batch of four, whose lane 0 is not there any more. */
async function aJobOnALostLane(): Promise<DriverBench> {
  const bench = new DriverBench();
  await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
  bench.world.before = (call) => {
    if (call === "probe digits/0" || call === "send digits/0") throw new LaneGone("lane 0 has no queue");
  };
  return bench;
}

describe("a lane that is gone", () => {
  it("is left: the job waits and says why, its workers end, the lane names nobody", async () => {
    const bench = await aJobOnALostLane();

    expect(await bench.drive(60)).toBeUndefined();

    expect(await bench.state()).toMatchObject({ state: "pending", message: "lane 0 has no queue" });
    expect(bench.pool.asked.at(-1)).toBe(`stop ${JOB.job} 1`);
    expect(await laneRecord(bench, 0)).toMatchObject({ job: null, owner: "", stop: true });
  });

  it("is left only when a look that was under way is through, and that look ends nothing any more", async () => {
    const bench = await aJobOnALostLane();
    let endLook: () => void = () => undefined;
    bench.pool.workers = () => new Promise((resolve) => (endLook = () => resolve([])));
    const over = bench.drive(600);
    for (let at = 0; at < 30; at += 1) await bench.world.clock.advance(1000);
    await bench.world.memory.put(KEYS.stop, Buffer.from("{}"));

    endLook();

    expect(await over).toBeUndefined();
    for (let at = 0; at < 10; at += 1) await bench.world.clock.advance(1000);
    expect(await bench.state()).toMatchObject({ state: "pending", cause: null });
    expect(await bench.world.memory.size(KEYS.cut)).toBeUndefined();
  });

  it("is passed over for one that answers, in an epoch and a term that the job never had", async () => {
    const bench = await aJobOnALostLane();
    const replica = new Replica(bench.deps, {
      id: "ours",
      apis: () => Promise.resolve([JOB.api]),
      lanes: 2,
      busyMs: 250,
      idleMs: 1000,
      alone: false,
      onFatal: () => undefined,
    });
    const before = await laneRecord(bench, 0);
    const over = new AbortController();
    const running = replica.run(over.signal).catch(() => undefined);
    for (let at = 0; at < 1200; at += 1) await bench.world.clock.advance(100);
    over.abort(new Error("the test's time is over"));
    await running;
    await replica.drained();

    expect(await laneRecord(bench, 0)).toMatchObject({ job: null });
    const taken = await laneRecord(bench, 1);
    expect(taken).toMatchObject({ job: JOB.job, epoch: before.epoch + 1 });
    expect(taken.term).toBeGreaterThan(before.term);
    expect((await bench.state()).lane).toMatchObject({ lane: 1, epoch: before.epoch + 1 });
    expect(bench.world.callsOf("send")).toContain("send digits/1");
  });
});

/** A job on lane 1 of a service that now has lane 0 alone: queues are asked by the URLs that are left. */
async function aJobOnARemovedLane(owner: string): Promise<DriverBench> {
  const bench = new DriverBench();
  await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
  const { memory } = bench.world;
  const [zero, one] = [0, 1].map((lane) => apiKeys(JOB.api).lane(lane)) as [string, string];
  const held = await memory.read(zero);
  const record = { ...(JSON.parse(held?.bytes.toString() ?? "null") as LaneRecord), owner };
  await memory.swap(one, encodeStored(record), undefined);
  await memory.swap(zero, encodeStored(EMPTY_LANE), held?.version);
  await changeState(memory, { lane: { lane: 1, epoch: 1, term: 1 } });
  bench.world.before = (call) => {
    if (call.endsWith(" digits/1")) throw new LaneGone("lane digits/1 has no queue: there are queue URLs for 1 lanes");
  };
  return bench;
}

/** Lets a replica with one lane look for so many seconds. */
async function withOneLane(bench: DriverBench, seconds: number, each: () => Promise<void> = async () => undefined) {
  const replica = new Replica(bench.deps, {
    ...{ id: "ours", apis: () => Promise.resolve([JOB.api]), lanes: 1, busyMs: 250, idleMs: 1000, alone: false },
    onFatal: () => undefined,
  });
  const over = new AbortController();
  const running = replica.run(over.signal).catch(() => undefined);
  for (let at = 0; at < seconds * 10; at += 1) {
    await bench.world.clock.advance(100);
    if (at % 10 === 0) await each();
  }
  over.abort(new Error("the test's time is over"));
  await running;
  await replica.drained();
}

describe("a lane that its service has no more", () => {
  it("gives its job to another lane when its owner has handed over, in a new epoch", async () => {
    const bench = await aJobOnARemovedLane("");

    await withOneLane(bench, 60);

    expect(await laneRecord(bench, 1)).toMatchObject({ job: null, owner: "", stop: true });
    expect(await laneRecord(bench, 0)).toMatchObject({ job: JOB.job, epoch: 2 });
    expect((await bench.state()).lane).toMatchObject({ lane: 0, epoch: 2 });
    expect(bench.pool.asked).toContain(`stop ${JOB.job} 1`);
    expect(bench.world.callsOf("send")).toContain("send digits/0");
  });

  it("is left alone as long as a replica that still has it beats", async () => {
    const bench = await aJobOnARemovedLane("the former replica");
    const key = apiKeys(JOB.api).lane(1);

    await withOneLane(bench, 200, async () => {
      const held = await bench.world.memory.read(key);
      const record = JSON.parse(held?.bytes.toString() ?? "null") as LaneRecord;
      await bench.world.memory.swap(key, encodeStored({ ...record, beat: record.beat + 1 }), held?.version);
    });

    expect(await laneRecord(bench, 1)).toMatchObject({ job: JOB.job, owner: "the former replica", epoch: 1 });
    expect(bench.pool.asked).toEqual([]);
  });

  it("gives its job away once its owner's beat has stood still for a lease", async () => {
    const bench = await aJobOnARemovedLane("a dead replica");

    await withOneLane(bench, 50);
    expect(await laneRecord(bench, 1)).toMatchObject({ job: JOB.job });
    await withOneLane(bench, 120);

    expect(await laneRecord(bench, 1)).toMatchObject({ job: null });
    expect(await laneRecord(bench, 0)).toMatchObject({ job: JOB.job, epoch: 2 });
  });
});

describe("a pool that refuses for good", () => {
  it("ends the job with the pool's words, after one try", async () => {
    const bench = new DriverBench();
    await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
    let tries = 0;
    bench.pool.start = () => {
      tries += 1;
      return Promise.reject(new PoolRefused("the template has no container named worker"));
    };

    expect(await bench.drive(120)).toBeUndefined();

    expect(await bench.state()).toMatchObject({
      state: "failed",
      cause: { kind: "failed", reason: "worker_error", message: "the template has no container named worker" },
    });
    expect(tries).toBe(1);
  });
});

describe("what a driver tells all replicas", () => {
  it("stands in the state while it drives, written no more often than asked", async () => {
    const bench = new DriverBench();
    await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
    bench.deps = { ...bench.deps, tellMs: 2_000 };
    let looks = 0;
    bench.pool.workers = () => {
      looks += 1; // something to tell at every look
      return Promise.resolve([{ generation: 1, index: 0, phase: "pending", waitingFor: `look ${String(looks)}` }]);
    };
    const told: number[] = [];
    bench.world.before = (call) => {
      if (call.startsWith("swap") && call.endsWith("state.json")) told.push(bench.world.clock.monotonicMs());
    };

    await bench.drive(20);

    const { live } = await bench.state();
    expect(live).toMatchObject({ counts: { batches: 4 }, workers: { ready: 0, pending: 1 } });
    expect(looks).toBeGreaterThan(50);
    expect(told.length).toBeGreaterThan(5);
    expect(told.length).toBeLessThan(15);
  });
});
