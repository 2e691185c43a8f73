/**
 * G12: batches per second of a worker's core through the cloud's lanes, received, decoded and acked, against a bare loop of
 * the SDK that receives and deletes as many a call and decodes nothing. Both against the same server of the protocol in
 * another process; what counts is the CPU time of this process, all of its threads included.
 */
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { SqsQueue } from "../services/backends/batch-queue.sqs.ts";
import { realClock, realRandom } from "../services/backends/clock.real.ts";
import type { BatchMessage } from "../services/protocol/messages.ts";
import { startSqsServer } from "./peers/sqs-server.ts";
import { compare } from "./rounds.ts";
import type { BenchRow } from "./row.ts";

const ROUNDS = 7;
const BATCHES = 4_000;
const HAND = 80;
const GROUP = 10;
const LOOPS = HAND / GROUP;
const LANE = "bench/0";
const ACCESS = { region: "us-east-1", credentials: { accessKeyId: "bench", secretAccessKey: "bench" } };

export async function g12(): Promise<BenchRow[]> {
  const server = await startSqsServer();
  const client = new SQSClient({ endpoint: server.endpoint, md5: false, ...ACCESS });
  try {
    const { QueueUrl = "" } = await client.send(new CreateQueueCommand({ QueueName: "bench" }));
    const url = new URL(new URL(QueueUrl).pathname, server.endpoint).href;
    const queue = new SqsQueue({ clock: realClock, random: realRandom, queueUrls: [url], ...ACCESS });
    await perCore(queue, () => throughSdk(client, url)); // compiled, connected
    await perCore(queue, () => throughQueue(queue));
    const row = await compare({
      id: "G12",
      what: "batches received and acked through SQS per second of CPU, over a bare loop of the SDK without MD5 sums",
      bar: ">= 0.7",
      unit: "batches/s",
      rounds: ROUNDS,
      ours: () => perCore(queue, () => throughQueue(queue)),
      theirs: () => perCore(queue, () => throughSdk(client, url)),
    });
    await queue.close();
    await client.send(new DeleteQueueCommand({ QueueUrl: url }));
    return [row];
  } finally {
    client.destroy();
    await server.stop();
  }
}

/** Fills the lane, which is not counted, and has it emptied. */
async function perCore(queue: SqsQueue, empty: () => Promise<number>): Promise<number> {
  const left = await queue.send(
    LANE,
    Array.from({ length: BATCHES }, (_, batch) => message(batch)),
  );
  if (left.length > 0) throw new Error(`${String(left.length)} messages were refused`);
  const before = process.cpuUsage();
  const received = await empty();
  const { user, system } = process.cpuUsage(before);
  if (received !== BATCHES) throw new Error(`${String(received)} messages came, not ${String(BATCHES)}`);
  return (1e6 * received) / (user + system);
}

async function throughQueue(queue: SqsQueue): Promise<number> {
  let received = 0;
  while (received < BATCHES) {
    const deliveries = await queue.receive(LANE, { messagesMax: HAND, waitSeconds: 20 });
    const receipts = deliveries.map(({ receipt }) => receipt);
    await queue.ack(LANE, receipts);
    received += deliveries.length;
  }
  return received;
}

/** As many calls at a time as a hand of ours makes. */
async function throughSdk(client: SQSClient, url: string): Promise<number> {
  let received = 0;
  let asked = 0;
  const loop = async () => {
    while (asked < BATCHES) {
      asked += GROUP;
      const receive = new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: GROUP, WaitTimeSeconds: 20 });
      const { Messages = [] } = await client.send(receive);
      const Entries = Messages.map(({ ReceiptHandle }, at) => ({ Id: String(at), ReceiptHandle }));
      await client.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }));
      received += Messages.length;
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
  return received;
}

function message(batch: number): BatchMessage {
  const span = { uri: "s3://photos/2026/part-00017.jsonl", etag: '"5d41402abc4b2a76b9719d911017c592"' };
  return {
    kind: "batch",
    format: 1,
    job: "00000000000000aa",
    epoch: 1,
    batch,
    attempt: 1,
    first_item: 10 * batch,
    pointer: {
      items: 10,
      spans: [{ ...span, format: "lines", start: 3000 * batch, end: 3000 * (batch + 1), items: 10 }],
    },
  };
}
