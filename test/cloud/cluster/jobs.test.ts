/** Whole jobs in a whole cloud: service replicas and workers in pods of real nodes, over real protocols, rights enforced. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ECHO } from "../../support/a-system.ts";
import { API, CloudUnderTest } from "../support/a-cloud.ts";
import { leavingsOf } from "../support/leavings.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";

describeOnRealNodes("a batch API in a cluster", () => {
  let cloud: CloudUnderTest;
  beforeAll(async () => {
    cloud = await CloudUnderTest.start();
  });
  afterAll(async () => {
    await cloud.end();
    expect(leavingsOf(cloud.cluster.controlPlane)).toEqual([]);
  });

  it("runs a job of thousands of batches through two replicas to its manifest", async () => {
    expect((await cloud.deploy(API, ECHO)).status).toBe(201);
    const items = Array.from({ length: 3_000 }, (_, at) => ({ at }));

    const job = await cloud.submit(API, { workers: 4, item_list: { items, batch_size: 1 } });
    cloud.asked = 1; // the other replica answers for it as well
    const ended = await cloud.ended(job, 300);

    expect(ended).toMatchObject({
      state: "succeeded",
      items: { total: 3_000, succeeded: 3_000, failed: 0 },
      batches: { total: 3_000, succeeded: 3_000, failed: 0 },
    });
    const rows = await cloud.results(ended);
    expect(rows.map(({ index }) => index)).toEqual(items.map(({ at }) => at));
    expect(rows.map(({ result }) => result)).toEqual(items);
    await cloud.proveAll();
  });
});
