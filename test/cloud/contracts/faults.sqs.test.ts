import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { SqsQueue } from "../../../services/backends/batch-queue.sqs.ts";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { messages } from "../../support/messages.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import type { Fault } from "../support/faults.ts";
import { queueUrlAt, SQS_CREDENTIALS, SQS_REGION, type SqsServer, startSqsServer } from "../support/sqs-server.ts";

const LANE = "faults/0";
const LEASE_SECONDS = 2;
const MESSAGES = 25;

const FAULTS: Readonly<Record<string, Fault>> = {
  "throttled calls": { kind: "refuse", status: 400, code: "ThrottlingException" },
  "a service that is unavailable": { kind: "refuse", status: 503, code: "ServiceUnavailable" },
  "lost replies": { kind: "loseReply" },
  "lost requests": { kind: "loseRequest" },
  "replies cut within their body": { kind: "cutReply" },
  "calls that land late": { kind: "landLate", afterMilliseconds: 300 },
};
const FAILED_ENTRIES: Fault = {
  kind: "failEntries",
  code: "InternalError",
  senderFault: false,
  of: (at) => at % 2 === 0,
};

let server: SqsServer;
let client: SQSClient;
let proxy: FaultProxy;
let queue: SqsQueue;
beforeAll(async () => {
  server = await startSqsServer();
  client = new SQSClient({ endpoint: server.endpoint, region: SQS_REGION, credentials: SQS_CREDENTIALS });
});
afterAll(async () => {
  client.destroy();
  await server.stop();
});
beforeEach(async () => {
  proxy = await FaultProxy.start({ target: server.endpoint });
  const { QueueUrl = "" } = await client.send(new CreateQueueCommand({ QueueName: `faults-${realRandom.hex(8)}` }));
  queue = new SqsQueue({
    clock: realClock,
    random: realRandom,
    queueUrls: [queueUrlAt({ ...server, endpoint: proxy.endpoint }, QueueUrl)],
    leaseSeconds: LEASE_SECONDS,
    region: SQS_REGION,
    credentials: SQS_CREDENTIALS,
  });
});
afterEach(async () => {
  await queue.close();
  await proxy.stop();
});

/** As a driver does: what was not taken, or may not have been, is sent again. */
async function sendAll(): Promise<void> {
  let left = messages(MESSAGES);
  while (left.length > 0) {
    const refused = await queue.send(LANE, left).catch(() => left.map((_, at) => at));
    left = refused.flatMap((at) => left[at] ?? []);
  }
}

/** The batches that were received, each time; all are acked. Ends when the lane stays empty for longer than a lease. */
async function receiveAll(): Promise<number[]> {
  const batches: number[] = [];
  for (;;) {
    const deliveries = await queue.receive(LANE, { messagesMax: 10, waitSeconds: LEASE_SECONDS + 1 });
    if (deliveries.length === 0) return batches;
    for (const { message } of deliveries) if (message.kind === "batch") batches.push(message.batch);
    await queue.ack(
      LANE,
      deliveries.map(({ receipt }) => receipt),
    );
  }
}

const all = Array.from({ length: MESSAGES }, (_, batch) => batch);

function distinct(batches: readonly number[]): number[] {
  return [...new Set(batches)].sort((a, b) => a - b);
}

describe.each(Object.entries(FAULTS))("SQS with %s", (_name, fault) => {
  it("delivers each message at least once, and no more when all are acked", async () => {
    for (const operation of ["SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"]) {
      proxy.rules.add({ name: operation, operation, nth: [1, 3], fault });
    }
    await sendAll();
    const batches = await receiveAll();

    expect(distinct(batches)).toEqual(all);
    for (const operation of ["SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"]) {
      expect(proxy.rules.fired(operation)).toBe(2);
    }
  });
});

describe("SQS with entries that fail in calls that succeed", () => {
  it("takes, or names, each message, and loses none", async () => {
    proxy.rules.add({ name: "send", operation: "SendMessageBatch", nth: [1, 2], fault: FAILED_ENTRIES });
    proxy.rules.add({ name: "delete", operation: "DeleteMessageBatch", nth: [1, 2], fault: FAILED_ENTRIES });
    await sendAll();

    expect((await receiveAll()).sort((a, b) => a - b)).toEqual(all);
    expect(proxy.rules.fired("send")).toBe(2);
    expect(proxy.rules.fired("delete")).toBe(2);
  });

  it("answers receipts that are no longer good, and passes over them when it acks", async () => {
    const expired: Fault = {
      kind: "failEntries",
      code: "ReceiptHandleIsInvalid",
      senderFault: true,
      of: (at) => at === 0,
    };
    await queue.send(LANE, messages(3));
    const receipts = (await queue.receive(LANE, { messagesMax: 3, waitSeconds: 1 })).map(({ receipt }) => receipt);
    proxy.rules.add({ name: "extend", operation: "ChangeMessageVisibilityBatch", nth: [1], fault: expired });
    proxy.rules.add({ name: "ack", operation: "DeleteMessageBatch", nth: [1], fault: expired });

    expect(await queue.extend(LANE, receipts)).toEqual(receipts.slice(0, 1));
    await queue.ack(LANE, receipts);
    expect(proxy.rules.fired("extend")).toBe(1);
    expect(proxy.rules.fired("ack")).toBe(1);
  });
});

it("waits until SQS is no longer cut off", async () => {
  await sendAll();
  proxy.cut();
  const received = receiveAll();
  while (proxy.rules.fired("cut") < 2) await realClock.sleep(20);
  proxy.heal();

  expect(distinct(await received)).toEqual(all);
});
