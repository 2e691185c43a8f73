import { describe, expect, it } from "vitest";
import { LaneGone } from "../../../services/backends/batch-queue.ts";
import { Unwell } from "../../../services/backends/unwell.ts";
import { Replica } from "../../../services/batch-api/driver/replica.ts";
import { readLane } from "../../../services/batch-api/driver/lane-lease.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { aRunningJob, changeState, JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const LEASES = 5;

/** A running job whose last driver has left, and whose workers take so many leases to go. */
async function aJobOfSlowWorkers(leases = LEASES): Promise<DriverBench> {
  const bench = new DriverBench();
  await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
  await (await bench.lease()).update({ owner: "" });
  const stop = bench.pool.stop.bind(bench.pool);
  bench.pool.stop = async (job, epoch) => {
    await stop(job, epoch);
    await bench.world.clock.sleep(leases * bench.deps.queue.leaseSeconds * 1000);
  };
  return bench;
}

function startReplica(bench: DriverBench, id: string) {
  const fatal: unknown[] = [];
  const replica = new Replica(bench.deps, {
    id,
    apis: () => Promise.resolve([JOB.api]),
    lanes: 1,
    busyMs: 1_000,
    idleMs: 15_000,
    alone: false,
    onFatal: (error) => fatal.push(error),
  });
  const over = new AbortController();
  const running = replica.run(over.signal).catch(() => undefined);
  const leave = async () => {
    over.abort(new Error("asked to leave"));
    await running;
  };
  return { replica, fatal, leave };
}

async function pass(bench: DriverBench, leases: number): Promise<void> {
  for (let at = 0; at < leases * bench.deps.queue.leaseSeconds; at += 1) await bench.world.clock.advance(1000);
}

const laneOf = async (bench: DriverBench) => (await readLane(bench.world.memory, JOB.api, 0))?.record;
const stopsOf = (bench: DriverBench) => bench.pool.asked.filter((call) => call.startsWith("stop "));

describe("a job whose workers take many leases to go", () => {
  it.each<[how: string, before: (bench: DriverBench) => Promise<unknown> | undefined]>([
    ["has ended", (bench) => bench.world.memory.put(jobKeys(JOB.api, JOB.job).stop, Buffer.from("{}"))],
    [
      "had ended when its driver died",
      async (bench) => {
        await changeState(bench.world.memory, { state: "completing", cause: { kind: "stopped" } });
        await changeState(bench.world.memory, { state: "stopped" });
      },
    ],
    [
      "leaves a lane that is gone",
      (bench) => {
        bench.world.before = (call) => {
          if (call.startsWith("probe ")) throw new LaneGone("the lane has no queue");
        };
        return undefined;
      },
    ],
  ])("keeps its lane until they are gone, then frees it, when it %s", async (_, before) => {
    const bench = await aJobOfSlowWorkers();
    await before(bench);
    const replicas = ["one", "other"].map((id) => startReplica(bench, id));

    await pass(bench, LEASES - 1);
    expect(await laneOf(bench)).toMatchObject({ job: JOB.job, term: 2 });
    await pass(bench, 2);

    expect(await laneOf(bench)).toMatchObject({ job: null, owner: "", term: 2 });
    expect(stopsOf(bench)).toHaveLength(1);
    expect(replicas.flatMap(({ fatal }) => fatal)).toEqual([]);
    for (const { leave } of replicas) await leave();
  });

  it("is ended by another replica a lease after its own was asked to leave", async () => {
    const bench = await aJobOfSlowWorkers();
    await bench.world.memory.put(jobKeys(JOB.api, JOB.job).stop, Buffer.from("{}"));
    const first = startReplica(bench, "first");
    await pass(bench, 1);
    await first.leave();
    startReplica(bench, "second");

    await pass(bench, 2);

    expect(await laneOf(bench)).toMatchObject({ job: JOB.job, owner: "second", term: 3 });
  });

  it("keeps its lane though the store does not answer for a while", async () => {
    const bench = await aJobOfSlowWorkers();
    await bench.world.memory.put(jobKeys(JOB.api, JOB.job).stop, Buffer.from("{}"));
    const { fatal, leave } = startReplica(bench, "only");
    await pass(bench, 1);
    bench.world.before = (call) => {
      if (call.startsWith("swap ")) throw new Unwell("the store does not answer");
    };
    await pass(bench, 1);
    bench.world.before = () => undefined;

    await pass(bench, LEASES);

    expect(await laneOf(bench)).toMatchObject({ job: null, term: 2 });
    expect([stopsOf(bench).length, fatal]).toEqual([1, []]);
    await leave();
  });
});
