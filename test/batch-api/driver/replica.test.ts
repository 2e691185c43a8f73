import { describe, expect, it } from "vitest";
import { LaneWatch } from "../../../services/batch-api/driver/lane-watch.ts";
import { Replica } from "../../../services/batch-api/driver/replica.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../../services/protocol/lanes.ts";
import { DriverBench } from "../../support/a-driver.ts";
import { aJobSpec } from "../../support/builders.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** Lets a replica look for so many seconds; answers the job of each API's lane 0 afterwards. */
async function look(
  bench: DriverBench,
  apis: readonly string[],
  seconds: number,
  id = "ours",
  onFatal: (error: unknown) => void = () => undefined,
): Promise<(string | null)[]> {
  const replica = new Replica(bench.deps, {
    id,
    apis: () => Promise.resolve(apis),
    lanes: 1,
    busyMs: 250,
    idleMs: 1000,
    alone: false,
    onFatal,
  });
  const over = new AbortController();
  const running = replica.run(over.signal).catch(() => undefined);
  for (let at = 0; at < seconds * 10; at += 1) await bench.world.clock.advance(100);
  const driven = await Promise.all(
    apis.map(async (api) => {
      const found = await bench.world.memory.read(apiKeys(api).lane(0));
      const record = JSON.parse(found?.bytes.toString() ?? "null") as LaneRecord | null;
      return record?.owner === id ? record.job : null;
    }),
  );
  over.abort(new Error("the test's time is over"));
  await running;
  await replica.drained();
  return driven;
}

describe("a replica", () => {
  it("gives jobs their lanes beside one whose spec it cannot read", async () => {
    const bench = new DriverBench();
    const [broken, good, other] = ["6a00000000000001", "6a00000000000002", "6a00000000000003"] as const;
    for (const [api, job] of [
      ["a", broken],
      ["a", good],
      ["b", other],
    ] as const) {
      const spec = aJobSpec({ api, job });
      const bytes = job === broken ? encodeStored({ ...spec, format: 99 }) : encodeStored(spec);
      await bench.world.memory.put(jobKeys(api, job).spec, bytes);
      await bench.world.memory.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));
    }

    expect(await look(bench, ["a", "b"], 2)).toEqual([good, other]);
  });

  it("takes over lanes of the same number of two APIs whose owner is dead", async () => {
    const bench = new DriverBench();
    const jobs = { a: "6a00000000000001", b: "6a00000000000002" } as const;
    for (const [api, job] of Object.entries(jobs)) {
      await bench.world.memory.put(jobKeys(api, job).spec, encodeStored(aJobSpec({ api, job })));
      await bench.world.memory.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));
      const record = { ...EMPTY_LANE, epoch: 1, term: api === "a" ? 1 : 7, job, owner: "dead" };
      await bench.world.memory.swap(apiKeys(api).lane(0), encodeStored(record), undefined);
    }

    expect(await look(bench, ["a", "b"], 70)).toEqual([jobs.a, jobs.b]);
  });

  it("reads the record of a lane once a look, also while jobs wait for it", async () => {
    const bench = new DriverBench();
    const [api, ours, waits] = ["a", "6a00000000000001", "6a00000000000002"] as const;
    for (const job of [ours, waits]) {
      await bench.world.memory.put(jobKeys(api, job).spec, encodeStored(aJobSpec({ api, job })));
      await bench.world.memory.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));
    }
    const asked: string[] = [];
    const read = bench.world.memory.read.bind(bench.world.memory);
    const list = bench.world.memory.list.bind(bench.world.memory);
    bench.world.memory.read = (key) => (asked.push(key), read(key));
    bench.world.memory.list = (prefix, options) => (asked.push(prefix), list(prefix, options));

    await look(bench, [api], 3);

    const times = (key: string) => asked.filter((one) => one === key).length;
    // once more by `look` itself
    expect(times(apiKeys(api).lane(0)) - 1).toBeLessThanOrEqual(times(apiKeys(api).active));
    expect(times(apiKeys(api).active)).toBeGreaterThan(5);
  });
});

describe("a replica that is cut off from its pool", () => {
  it("leaves the lane to others after a lease, and asks for it again only once the pool answers", async () => {
    const bench = new DriverBench();
    const [api, job] = ["a", "6a00000000000001"] as const;
    await bench.world.memory.put(jobKeys(api, job).spec, encodeStored(aJobSpec({ api, job })));
    await bench.world.memory.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));
    const leaseSeconds = bench.deps.queue.leaseSeconds;
    const [awaySeconds, backSeconds] = [2, 6 * leaseSeconds];
    const before: LaneRecord[] = [];
    bench.pool.probe = () => {
      const seconds = bench.world.clock.monotonicMs() / 1000;
      return seconds < awaySeconds || seconds > backSeconds ? Promise.resolve() : Promise.reject(new Error("away"));
    };
    const swap = bench.world.memory.swap.bind(bench.world.memory);
    bench.world.memory.swap = (key, bytes, version) => {
      const record = JSON.parse(bytes.toString()) as LaneRecord;
      if (key === apiKeys(api).lane(0) && bench.world.clock.monotonicMs() / 1000 < backSeconds) before.push(record);
      return swap(key, bytes, version);
    };

    const driven = await look(bench, [api], backSeconds + 3);

    expect(before.at(-1)).toMatchObject({ job, owner: "", epoch: 1, term: 1 });
    expect(driven).toEqual([job]);
  });
});

describe("a replica whose pool is silent", () => {
  it("is cut off from it, and not taken for one that stands still", async () => {
    const bench = new DriverBench();
    const [api, job] = ["a", "6a00000000000001"] as const;
    await bench.world.memory.put(jobKeys(api, job).spec, encodeStored(aJobSpec({ api, job })));
    await bench.world.memory.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));
    const silent = async (): Promise<never> => {
      await bench.world.clock.sleep(2 * bench.deps.queue.leaseSeconds * 1000);
      throw new Error("no answer");
    };
    bench.pool.workers = silent;
    bench.pool.probe = () => Promise.reject(new Error("no answer"));
    const fatal: unknown[] = [];

    await look(bench, [api], 2.5 * bench.deps.queue.leaseSeconds, "ours", (error) => fatal.push(error));

    const found = await bench.world.memory.read(apiKeys(api).lane(0));
    expect(JSON.parse(found?.bytes.toString() ?? "null")).toMatchObject({ job, owner: "", term: 1 });
    expect(fatal).toEqual([]);
  });
});

describe("a replica that is asked to leave", () => {
  it("leaves its lanes without an owner, so that another takes over at once, in the same epoch", async () => {
    const bench = new DriverBench();
    const [api, job] = ["a", "6a00000000000001"] as const;
    await bench.world.memory.put(jobKeys(api, job).spec, encodeStored(aJobSpec({ api, job })));
    await bench.world.memory.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));

    await look(bench, [api], 2);

    const found = await bench.world.memory.read(apiKeys(api).lane(0));
    expect(JSON.parse(found?.bytes.toString() ?? "null")).toMatchObject({ job, owner: "", epoch: 1, stop: false });
    expect(await look(bench, [api], 2, "theirs")).toEqual([job]);
  });
});

describe("LaneWatch", () => {
  it("asks for a whole lease of the same beat, and for none where the owner left", () => {
    const clock = new VirtualClock();
    const watch = new LaneWatch(clock, 60_000);
    const record = { ...EMPTY_LANE, owner: "x", job: "j" };

    expect(watch.mayTakeOver("a", 0, record)).toBe(false);
    expect(watch.mayTakeOver("a", 0, { ...record, beat: 1 })).toBe(false);
    expect(watch.mayTakeOver("a", 0, { ...record, owner: "" })).toBe(true);
  });
});
