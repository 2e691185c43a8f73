/** What lies behind the seams is out of order for a while: the job waits, says why, and goes on. */
import { describe, expect, it } from "vitest";
import { DatasetError } from "../../../services/backends/dataset.ts";
import { StoreUnwell } from "../../../services/backends/object-store.ts";
import { Unwell } from "../../../services/backends/unwell.ts";
import { Unsplittable } from "../../../services/batch-api/driver/context.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import type { LaneRecord } from "../../../services/protocol/lanes.ts";
import { aRunningJob, JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const DENIED = "s3://store/apis/digits may not be read: grant this service s3:GetObject";
/** The driver has not ended by itself. */
const TIME_IS_OVER = "Error: the test's time is over";

async function aBench(): Promise<DriverBench> {
  const bench = new DriverBench();
  await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
  bench.deps = { ...bench.deps, tellMs: 1_000 };
  return bench;
}

async function lane(bench: DriverBench): Promise<LaneRecord> {
  const found = await bench.world.memory.read(apiKeys(JOB.api).lane(0));
  return JSON.parse(found?.bytes.toString() ?? "null") as LaneRecord;
}

describe("a driver whose store refuses", () => {
  it("goes on in its term when that is over, be it minutes later", async () => {
    const bench = await aBench();
    const { clock } = bench.world;
    const startMs = clock.monotonicMs();
    let refused = 0;
    bench.world.before = (call) => {
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      if (seconds < 10 || seconds > 190 || call.endsWith("digits/0")) return; // the queue works
      refused += 1;
      throw new StoreUnwell(`${DENIED} (${call.split(" ", 1)[0] ?? ""})`);
    };
    const { term } = await lane(bench);

    expect(String(await bench.drive(240))).toBe(TIME_IS_OVER);

    expect(refused).toBeGreaterThan(50);
    expect(await bench.state()).toMatchObject({ state: "running", lane: { term }, cause: null });
    expect((await lane(bench)).beat).toBeGreaterThan(5);
    expect((await bench.state()).live?.message).not.toContain(DENIED);
  });

  it("does not take the wait for it for a loop that stands still", async () => {
    const bench = await aBench();
    const { clock } = bench.world;
    const startMs = clock.monotonicMs();
    const hold = async (untilMs: number) => {
      const passedMs = clock.monotonicMs() - startMs;
      if (passedMs > 10_000 && passedMs < untilMs) await clock.sleep(untilMs - passedMs);
    };
    bench.world.before = (call) => (call.startsWith("swap") && call.includes("/lanes/") ? hold(100_000) : undefined);
    bench.pool.workers = async () => {
      await hold(125_000); // after the beat, whose pause between two tries was shorter
      return [];
    };

    expect(String(await bench.drive(180))).toBe(TIME_IS_OVER);

    expect(await bench.state()).toMatchObject({ state: "running" });
  });
});

describe("a driver whose pool refuses for now", () => {
  it("waits with the sentence in its job's message, and clears it", async () => {
    const bench = await aBench();
    const workers = bench.pool.workers.bind(bench.pool);
    bench.pool.workers = () => Promise.reject(new Unwell("the service lacks a right in its namespace"));

    expect(String(await bench.drive(60))).toBe(TIME_IS_OVER);

    expect(await bench.state()).toMatchObject({
      state: "running",
      live: { message: expect.stringMatching(/^The job waits, .*: the service lacks a right/) as string },
    });
    bench.pool.workers = workers;
    expect(String(await bench.drive(5))).toBe(TIME_IS_OVER);
    expect((await bench.state()).live?.message).not.toContain("right");
  });

  it("fails the job for what is no fault of the world, after some tries", async () => {
    const bench = await aBench();
    bench.pool.workers = () => Promise.reject(new Error("undefined is not a function"));

    await bench.drive(60);

    expect(await bench.state()).toMatchObject({ cause: { kind: "failed", reason: "internal" } });
  });
});

describe("a split whose data", () => {
  async function splitWith(error: Error): Promise<{ readonly bench: DriverBench; readonly steps: () => number }> {
    const bench = await aBench();
    let steps = 0;
    const step = () => {
      steps += 1;
      return steps > 30 ? Promise.resolve("end" as const) : Promise.reject(error);
    };
    bench.deps = { ...bench.deps, splitterFor: () => ({ step, endEarly: () => Promise.resolve() }) };
    // without its end, so that there is something to split
    await bench.world.memory.delete(`apis/${JOB.api}/jobs/${JOB.job}/splits/end.json`);
    await bench.drive(90);
    return { bench, steps: () => steps };
  }

  it("cannot be reached for a while is tried until it can", async () => {
    const { bench, steps } = await splitWith(new DatasetError("unreachable", "s3://a/b", "S3 asks for fewer requests"));

    expect(steps()).toBe(31);
    expect(await bench.state()).toMatchObject({ state: "running", cause: null });
  });

  it("cannot be split fails the job with its sentence, at once", async () => {
    const { bench, steps } = await splitWith(new Unsplittable("s3://a/b may not be read: grant s3:GetObject on a/b"));

    expect(steps()).toBe(1);
    expect(await bench.state()).toMatchObject({
      cause: {
        kind: "failed",
        reason: "split_failed",
        message: expect.stringContaining("s3:GetObject on a/b") as string,
      },
    });
  });
});
