/** Whole jobs in a whole cloud: service replicas and workers in pods of real nodes, over real protocols, rights enforced. */
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ECHO, INIT } from "../../support/a-system.ts";
import { API, CloudUnderTest } from "../support/a-cloud.ts";
import { DATA_BUCKET } from "../support/cloud-servers.ts";
import { awaitWith } from "../support/cluster-process.ts";
import { leavingsOf } from "../support/leavings.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { S3_CREDENTIALS, S3_REGION } from "../support/s3-server.ts";

/** Prints, fails at some batches, and has a completion hook. */
const EXERCISED = `class Handler:
${INIT}    def handle_batch(self, payload):
        print("seen", len(payload))
        if any(item["at"] == 7 for item in payload):
            raise ValueError("seven")
        return payload
    def on_job_complete(self):
        print("all were seen")
`;

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

  it("runs a job over objects of another bucket to its end, hook and logs included, and removes all of it with its API", async () => {
    expect((await cloud.deploy(API, EXERCISED, { attempts: 1 })).status).toBe(200);
    const text = Array.from({ length: 20 }, (_, at) => JSON.stringify({ at })).join("\n");
    await putObjects({ "2026/a.jsonl": text, "2026/b.jsonl": text });

    const input = { paths: [`s3://${DATA_BUCKET}/2026/`], batch_size: 5 };
    const ended = await cloud.ended(await cloud.submit(API, { workers: 2, delimited_files: input }), 120);

    expect(ended).toMatchObject({ state: "completed_with_failures", items: { total: 40, succeeded: 38, failed: 2 } });
    await awaitWith("what the hook printed", [], async () => {
      const lines = await cloud.logs(ended); // they leave after two seconds
      return lines.some(({ text: line }) => line === "all were seen");
    });
    await cloud.proveAll();
    const removed = await cloud.request(`/v1/apis/${API}`, { method: "DELETE" });
    expect(removed.status, await removed.text()).toBe(204);
  });

  it("asks the servers for nothing but what the roles' policies are tested against", () => {
    expect(cloud.calls.heard("service")).toBeGreaterThan(20);
    expect(cloud.calls.heard("worker")).toBeGreaterThan(10);
    expect(cloud.calls.unknown()).toEqual([]);
  });

  async function putObjects(bodies: Readonly<Record<string, string>>): Promise<void> {
    const client = new S3Client({
      ...{ region: S3_REGION, endpoint: cloud.servers.s3Endpoint, credentials: S3_CREDENTIALS, forcePathStyle: true },
    });
    for (const [Key, Body] of Object.entries(bodies)) {
      await client.send(new PutObjectCommand({ Bucket: DATA_BUCKET, Key, Body }));
    }
    client.destroy();
  }
});
