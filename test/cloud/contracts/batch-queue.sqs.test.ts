import { CreateQueueCommand, DeleteQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LaneGone } from "../../../services/backends/batch-queue.ts";
import { SqsQueue } from "../../../services/backends/batch-queue.sqs.ts";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import type { Message } from "../../../services/protocol/messages.ts";
import { batchQueueContract, type QueueUnderTest } from "../../contracts/batch-queue.contract.ts";
import { aMessage, messages } from "../../support/messages.ts";
import { startMinistack } from "../support/ministack.ts";
import { queueUrlAt, SQS_CREDENTIALS, SQS_REGION, startSqsServer, type SqsServer } from "../support/sqs-server.ts";

/** Time is the server's own here: short leases and waits, in whole seconds as SQS has them. */
const LEASE_SECONDS = 2;
const LONG_WAIT_SECONDS = 3;
const LANES = 5;

const SERVERS: Readonly<Record<string, () => Promise<SqsServer>>> = {
  fauxqs: startSqsServer,
  ministack: startMinistack,
};

describe.each(Object.entries(SERVERS))("SQS as %s speaks it", (name, start) => {
  let server: SqsServer;
  let client: SQSClient;

  beforeAll(async () => {
    server = await start();
    client = new SQSClient({ endpoint: server.endpoint, region: SQS_REGION, credentials: SQS_CREDENTIALS });
  });
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });

  async function newQueues(): Promise<readonly string[]> {
    const queues = Array.from({ length: LANES }, (_, lane) => {
      return new CreateQueueCommand({ QueueName: `lane-${String(lane)}-${realRandom.hex(8)}` });
    });
    const answers = await Promise.all(queues.map((queue) => client.send(queue)));
    return answers.map(({ QueueUrl = "" }) => queueUrlAt(server, QueueUrl));
  }

  async function open(): Promise<QueueUnderTest & { readonly queue: SqsQueue; readonly queueUrls: readonly string[] }> {
    const queueUrls = await newQueues();
    const queue = new SqsQueue({
      clock: realClock,
      random: realRandom,
      queueUrls,
      leaseSeconds: LEASE_SECONDS,
      region: SQS_REGION,
      credentials: SQS_CREDENTIALS,
    });
    return {
      queue,
      queueUrls,
      longWaitSeconds: LONG_WAIT_SECONDS,
      advance: (seconds) => realClock.sleep(1000 * seconds),
      async close() {
        await queue.close();
      },
    };
  }

  batchQueueContract(`SqsQueue on ${name}`, open);

  it("carries every character that a name may hold", async () => {
    const { queue, close } = await open();
    const characters =
      '\0\u0001\b\t\n\v\f\r\u001b\u007f\u0085\u2028\u2029\ud800\udfff\ufffd\ufffe\uffff\u{1fffe}\u{10ffff}"\\/é漢🜁';
    const span = {
      uri: `s3://b/${characters}`,
      etag: characters,
      format: "lines" as const,
      start: 0,
      end: 1,
      items: 1,
    };
    const sent: readonly Message[] = [aMessage(1, { pointer: { items: 1, spans: [span] } })];
    try {
      expect(await queue.send("api/0", sent)).toEqual([]);

      const received = await queue.receive("api/0", { messagesMax: 10, waitSeconds: 1 });
      expect(received.map(({ message }) => message)).toEqual(sent);
    } finally {
      await close();
    }
  });

  it("refuses a message that SQS will never take, and sends the others", async () => {
    const { queue, close } = await open();
    const long = aMessage(2, { job: "x".repeat(2 ** 20) });
    const half = aMessage(3, { job: "y".repeat(2 ** 19) });
    try {
      expect(await queue.send("api/0", [aMessage(1), long, half, { ...half, batch: 4 }, aMessage(5)])).toEqual([1]);

      const received = await queue.receive("api/0", { messagesMax: 10, waitSeconds: 1 });
      expect(received.map(({ message }) => message.kind === "batch" && message.batch).sort()).toEqual([1, 3, 4, 5]);
    } finally {
      await close();
    }
  });

  it("moves thousands of messages, each once", async () => {
    const { queue, close } = await open();
    const seen = new Set<number>();
    try {
      expect(await queue.send("api/0", messages(3000))).toEqual([]);
      while (seen.size < 3000) {
        const received = await queue.receive("api/0", { messagesMax: 500, waitSeconds: 1 });
        expect(received.length).toBeLessThanOrEqual(500);
        for (const { message } of received) if (message.kind === "batch") seen.add(message.batch);
        await queue.ack("api/0", received.map(({ receipt }) => receipt)); // prettier-ignore
      }

      expect(await queue.receive("api/0", { messagesMax: 10, waitSeconds: LEASE_SECONDS })).toEqual([]);
    } finally {
      await close();
    }
  });

  it("says that a queue is gone", async () => {
    const { queue, queueUrls, close } = await open();
    const url = queueUrls[0] ?? "";
    await client.send(new DeleteQueueCommand({ QueueUrl: url }));
    try {
      await expect(queue.probe("api/0")).rejects.toBeInstanceOf(LaneGone);
      await expect(queue.send("api/0", messages(30))).rejects.toBeInstanceOf(LaneGone);
      await expect(queue.receive("api/0", { messagesMax: 1, waitSeconds: 1 })).rejects.toBeInstanceOf(LaneGone);
      await expect(queue.extend("api/0", ["a receipt"])).rejects.toBeInstanceOf(LaneGone);
    } finally {
      await close();
    }
  });
});
