/** Workers that are at fault, and batches that fail for good, over a real control plane: no nodes, no images. */
import { ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { BARE_API, BareCloud } from "../support/a-bare-cloud.ts";
import { leavingsOf } from "../support/leavings.ts";
import { S3_CREDENTIALS, S3_REGION } from "../support/s3-server.ts";

/** Its first worker stands on a bad machine: there every batch fails. */
const BAD_MACHINE = `
import os, time

class Handler:
    def __init__(self, config):
        try:
            with open(config["marker"], "x") as marker:
                marker.write(str(os.getppid()))
        except FileExistsError:
            pass
        with open(config["marker"]) as marker:
            self.bad = marker.read() == str(os.getppid())
        if self.bad:
            time.sleep(5) # until the others are up: alone it could be compared with nobody

    def handle_batch(self, payload):
        if self.bad:
            raise RuntimeError("device-side assert triggered")
        time.sleep(0.1)
        return payload
`;

const BROKEN = `
class Handler:
    def __init__(self, config):
        raise RuntimeError("no weights at /models")

    def handle_batch(self, payload):
        return payload
`;

const RAISES_SEVEN = `
class Handler:
    def __init__(self, config):
        pass

    def handle_batch(self, payload):
        if 7 in payload:
            raise ValueError("seven")
        return payload
`;

let cloud: BareCloud;
let tries = 0;
beforeAll(async () => {
  cloud = await BareCloud.start();
  await cloud.startService();
  await cloud.whenReady();
});
afterEach(() => cloud.proveAll());
afterAll(async () => {
  await cloud.end();
  expect(leavingsOf(cloud.plane)).toEqual([]);
});

async function deploy(source: string): Promise<void> {
  const reply = await cloud.deploy(BARE_API, source);
  expect(reply.ok, await reply.text()).toBe(true);
}

describe("in a cluster", () => {
  it("a worker on a bad machine stands down, and its index gets another pod", async () => {
    await deploy(BAD_MACHINE);
    const items = Array.from({ length: 300 }, (_, index) => index);
    const config = { marker: join(cloud.folder, `bad-machine-${String((tries += 1))}`) };

    const job = await cloud.run(BARE_API, { workers: 3, attempts: 1, isolate: false, config, item_list: { items, batch_size: 1 } }, 120); // prettier-ignore

    expect(job, JSON.stringify(job)).toMatchObject({ state: "succeeded", attempts_failed: 0 });
    expect(job.items).toMatchObject({ succeeded: 300, failed: 0 });
    expect(job.warnings).toHaveLength(1);
    expect(job.warnings[0]).toMatch(
      /stood down, charged nothing and is replaced: its last \d+ batches failed while other/,
    );
    expect(job.warnings[0]).toContain("device-side assert triggered");
  });

  it("a handler that cannot start fails its job within a minute, with its traceback", async () => {
    await deploy(BROKEN);
    const begun = performance.now();

    const job = await cloud.run(BARE_API, { workers: 3, item_list: { items: [1, 2, 3, 4], batch_size: 1 } }, 120);

    expect(job).toMatchObject({ state: "failed", reason: "worker_error" });
    expect(job.message).toContain("no weights at /models");
    expect(job.message).toContain("Traceback");
    expect(performance.now() - begun).toBeLessThan(60_000);
  });

  it("a batch that fails for good goes to the queue that its submission names", async () => {
    await deploy(RAISES_SEVEN);
    await cloud.servers.makeLane("failed-batches");
    const arn = "arn:aws:sqs:us-east-1:000000000000:failed-batches";

    const job = await cloud.run(
      BARE_API,
      {
        workers: 2,
        dead_letter_queue: { arn, max_receive_count: 2 },
        item_list: { items: [5, 6, 7, 8], batch_size: 2 },
      },
      120,
    );

    expect(job, JSON.stringify(job)).toMatchObject({ state: "completed_with_failures", attempts: 2, warnings: [] });
    expect(job.items).toMatchObject({ succeeded: 2, failed: 2 });
    const endpoint = cloud.servers.proxies.sqs.endpoint;
    const client = new SQSClient({ endpoint, region: S3_REGION, credentials: S3_CREDENTIALS });
    const asked = { QueueUrl: `${endpoint}/000000000000/failed-batches`, MessageAttributeNames: ["All"] };
    const { Messages = [] } = await client.send(new ReceiveMessageCommand({ ...asked, MaxNumberOfMessages: 10 }));
    client.destroy();
    expect(Messages.map(({ Body = "" }) => JSON.parse(Body) as unknown)).toEqual([[7, 8]]);
    expect(Messages[0]?.MessageAttributes?.["job_id"]?.StringValue).toBe(job.job_id);
  });
});
