import { describe, expect, it } from "vitest";
import { tick } from "../../../services/batch-api/driver/tick.ts";
import { queueLane } from "../../../services/protocol/keys.ts";
import { aRunningJob, JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const LANE = queueLane(JOB.api, 0);

async function sentBatches(bench: DriverBench): Promise<number[]> {
  const deliveries = await bench.world.lanes.receive(LANE, { messagesMax: 10, waitSeconds: 0 });
  return deliveries.flatMap(({ message }) => (message.kind === "batch" ? message.batch : []));
}

describe("a driver's look", () => {
  it("sends all that is due again in one call of the queue", async () => {
    const bench = new DriverBench();
    await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
    const job = await bench.runningJob();
    await job.splits.refresh();
    job.sends.through = 4;
    for (const batch of [0, 1, 3]) job.sends.retries.set(batch, 0);

    await tick(job);

    expect(bench.world.callsOf("send")).toEqual([`send ${LANE}`]);
    expect(await sentBatches(bench)).toEqual([0, 1, 3]);
    expect([...job.sends.retries]).toEqual([]);
  });
});
