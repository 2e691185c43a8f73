import { describe, expect, it } from "vitest";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../../services/protocol/lanes.ts";
import type { LedgerLine } from "../../../services/protocol/ledger.ts";
import { aRunningJob, changeState, JOB, LEDGER_A, LEDGER_B } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const KEYS = jobKeys(JOB.api, JOB.job);

function withoutHook(lines: readonly LedgerLine[]): LedgerLine[] {
  return lines.map((line) => (line.t === "ready" ? { ...line, hook: false } : line));
}

/** A job of which everything is settled, without a completion hook. */
async function aSettledJob(): Promise<DriverBench> {
  const bench = new DriverBench();
  await aRunningJob(bench.world.memory, { ledgerA: withoutHook(LEDGER_A), ledgerB: withoutHook(LEDGER_B) });
  return bench;
}

async function laneRecord(bench: DriverBench, lane: number): Promise<LaneRecord> {
  const found = await bench.world.memory.read(apiKeys(JOB.api).lane(lane));
  return JSON.parse(found?.bytes.toString() ?? "null") as LaneRecord;
}

describe("a driver", () => {
  it("ends a settled job: state, marker, pool, lane, in this order", async () => {
    const bench = await aSettledJob();

    expect(await bench.drive(60)).toBeUndefined();

    expect(await bench.state()).toMatchObject({
      state: "completed_with_failures",
      cause: { kind: "settled" },
      counts: { batches: 4, batches_succeeded: 2, batches_failed: 2, items_succeeded: 5, items_failed: 2 },
    });
    expect(bench.pool.asked.at(-1)).toBe(`stop ${JOB.job} 1`);
    expect(await laneRecord(bench, 0)).toMatchObject({ job: null, owner: "", epoch: 1, stop: true });
    const { active, endedJob } = apiKeys(JOB.api);
    expect((await bench.world.memory.list(active)).entries).toEqual([]);
    const { calls } = bench.world;
    const at = (call: string) => calls.lastIndexOf(call);
    expect(at(`swap ${KEYS.state}`)).toBeLessThan(at(`put ${endedJob("completed_with_failures", JOB.job)}`));
    expect(at(`put ${endedJob("completed_with_failures", JOB.job)}`)).toBeLessThan(
      at(`swap ${apiKeys(JOB.api).lane(0)}`),
    );
  });

  it("decides the end in the state before it cuts", async () => {
    const bench = await aSettledJob();
    const statesAtCut: string[] = [];
    bench.world.before = async (call) => {
      if (call === `put ${KEYS.cut}`) statesAtCut.push((await bench.state()).state);
    };

    await bench.drive(60);

    expect(statesAtCut).toEqual(["completing"]);
  });

  it("is not taken for stalled while it writes the results of a long job", async () => {
    const bench = await aSettledJob();
    bench.world.before = async (call) => {
      if (call.includes("/errors/") || call.includes("/index/")) await bench.world.clock.sleep(45_000);
    };

    expect(await bench.drive(600)).toBeUndefined();
    expect((await bench.state()).state).toBe("completed_with_failures");
  });

  it("is taken for stalled when one step takes longer than a lease", async () => {
    const bench = await aSettledJob();
    bench.world.before = async (call) => {
      if (call.includes("/errors/")) await bench.world.clock.sleep(90_000);
    };

    expect(await bench.drive(600)).toMatchObject({ name: "Stalled" });
  });

  it("is not taken for stalled when its whole process was frozen for longer than a lease", async () => {
    const bench = await aSettledJob();
    let frozen = false;
    bench.world.before = async (call) => {
      if (frozen || !call.startsWith(`put ${KEYS.cut}`)) return;
      frozen = true;
      bench.world.clock.jump(90_000);
      await bench.world.clock.sleep(1_000); // who is late wakes first
    };

    expect(await bench.drive(600)).toBeUndefined();
    expect((await bench.state()).state).toBe("completed_with_failures");
  });

  it("frees its lane when the job lives on another one", async () => {
    const bench = await aSettledJob();
    await bench.world.memory.swap(
      apiKeys(JOB.api).lane(1),
      encodeStored({ ...EMPTY_LANE, epoch: 1, term: 1, job: JOB.job, owner: "other" }),
      undefined,
    );
    await changeState(bench.world.memory, { lane: { lane: 1, epoch: 1, term: 1 } });

    expect(await bench.drive(1)).toBeUndefined();

    expect(await laneRecord(bench, 0)).toMatchObject({ job: null });
    expect(await bench.state()).toMatchObject({ state: "running", lane: { lane: 1 } });
  });

  it("frees its lane when another replica's grant of another lane lands between its look and its write", async () => {
    const bench = await aSettledJob();
    const other = { lane: 1, epoch: 1, term: 1 };
    await changeState(bench.world.memory, { lane: null });
    let raced = false;
    bench.world.before = async (call) => {
      if (call !== `swap ${KEYS.state}` || raced) return;
      raced = true;
      const record = encodeStored({ ...EMPTY_LANE, ...other, job: JOB.job, owner: "other" });
      await bench.world.memory.swap(apiKeys(JOB.api).lane(1), record, undefined);
      await changeState(bench.world.memory, { lane: other });
    };

    expect(await bench.drive(1)).toBeUndefined();

    expect(await laneRecord(bench, 0)).toMatchObject({ job: null });
    expect((await bench.state()).lane).toEqual(other);
  });

  it("gives up, and leaves the lane alone, when another replica took it over", async () => {
    const bench = await aSettledJob();
    bench.world.before = async (call) => {
      if (call !== `put ${KEYS.cut}`) return;
      const found = await bench.world.memory.read(apiKeys(JOB.api).lane(0));
      const taken = encodeStored({ ...EMPTY_LANE, epoch: 1, term: 2, job: JOB.job, owner: "newer", writes: 50 });
      await bench.world.memory.swap(apiKeys(JOB.api).lane(0), taken, found?.version);
      await changeState(bench.world.memory, { lane: { lane: 0, epoch: 1, term: 2 } });
    };

    expect(await bench.drive(60)).toMatchObject({ name: "Deposed" });

    expect((await bench.state()).state).toBe("completing");
    expect(await laneRecord(bench, 0)).toMatchObject({ owner: "newer", term: 2 });
  });
});
