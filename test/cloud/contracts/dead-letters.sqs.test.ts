import { CreateQueueCommand, DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../../services/backends/clock.real.ts";
import { SqsDeadLetters } from "../../../services/backends/dead-letters.sqs.ts";
import { DeadLetterQueueUnwell, type DeadLetter } from "../../../services/backends/dead-letters.ts";
import { LIMITS } from "../../../services/protocol/limits.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { queueUrlAt, SQS_CREDENTIALS, SQS_REGION, type SqsServer, startSqsServer } from "../support/sqs-server.ts";

const ACCOUNT = "000000000000";
const LETTERS: readonly DeadLetter[] = Array.from({ length: 25 }, (_, at) => {
  return {
    id: `batch-${String(at)}`,
    body: `[${String(at)}]`,
    attributes: { job_id: "j", batch_id: `batch-${String(at)}` },
  };
});

let server: SqsServer;
let client: SQSClient;
let proxy: FaultProxy;
let queues: SqsDeadLetters;
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
  queues = new SqsDeadLetters({
    clock: realClock,
    random: realRandom,
    endpoint: proxy.endpoint,
    credentials: SQS_CREDENTIALS,
    patienceSeconds: 3,
  });
});
afterEach(async () => {
  await queues.close();
  await proxy.stop();
});

/** Answers its ARN, and a reader of all that lies in it. */
async function aQueue(kind: "standard" | "fifo") {
  const name = `dead-${realRandom.hex(8)}${kind === "fifo" ? ".fifo" : ""}`;
  const attributes = kind === "fifo" ? { Attributes: { FifoQueue: "true" } } : {};
  const { QueueUrl = "" } = await client.send(new CreateQueueCommand({ QueueName: name, ...attributes }));
  const url = queueUrlAt(server, QueueUrl);
  const readAll = async () => {
    const found: { body: string; attributes: Record<string, string | undefined> }[] = [];
    for (;;) {
      const asked = { QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"] };
      const { Messages = [] } = await client.send(new ReceiveMessageCommand(asked));
      if (Messages.length === 0) return found;
      for (const { Body = "", MessageAttributes = {}, ReceiptHandle } of Messages) {
        const told = Object.entries(MessageAttributes).map(([key, { StringValue }]) => [key, StringValue]);
        found.push({ body: Body, attributes: Object.fromEntries(told) as Record<string, string> });
        await client.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }));
      }
    }
  };
  return { arn: `arn:aws:sqs:${SQS_REGION}:${ACCOUNT}:${name}`, readAll };
}

const numbers = (found: readonly { body: string }[]) =>
  found.map(({ body }) => (JSON.parse(body) as number[])[0] ?? -1).sort((one, other) => one - other);

describe.each(["standard", "fifo"] as const)("dead letters to a %s queue of SQS", (kind) => {
  it("arrive once each, with their attributes", async () => {
    const queue = await aQueue(kind);

    expect(await queues.send(queue.arn, LETTERS)).toEqual([]);

    const found = await queue.readAll();
    expect(numbers(found)).toEqual(LETTERS.map((_, at) => at));
    for (const { body, attributes } of found) {
      expect(attributes).toEqual({ job_id: "j", batch_id: `batch-${String((JSON.parse(body) as number[])[0])}` });
    }
  });

  it("that fail in a request that succeeds are sent again until all are there", async () => {
    const queue = await aQueue(kind);
    const fault = { kind: "failEntries", code: "InternalError", senderFault: false, of: (at: number) => at % 2 === 0 } as const; // prettier-ignore
    proxy.rules.add({ name: "partial", operation: "SendMessageBatch", nth: [1, 2], fault });

    expect(await queues.send(queue.arn, LETTERS)).toEqual([]);

    expect(proxy.rules.fired("partial")).toBe(2);
    expect(numbers(await queue.readAll())).toEqual(LETTERS.map((_, at) => at));
  });

  it("whose reply is lost are there at least once; a FIFO queue keeps one of each", async () => {
    const queue = await aQueue(kind);
    proxy.rules.add({ name: "lost", operation: "SendMessageBatch", nth: [1], fault: { kind: "loseReply" } });

    expect(await queues.send(queue.arn, LETTERS)).toEqual([]);

    expect(proxy.rules.fired("lost")).toBe(1);
    const found = numbers(await queue.readAll());
    expect([...new Set(found)]).toEqual(LETTERS.map((_, at) => at));
    if (kind === "fifo") expect(found).toHaveLength(LETTERS.length);
  });

  it("may be as long as they are made at most", async () => {
    const queue = await aQueue(kind);
    const body = JSON.stringify(["x".repeat(LIMITS.deadLetterBytesMax - 4)]);
    const longest = { id: "longest", body, attributes: { api_name: "a".repeat(42), job_id: "j".repeat(16), batch_id: "b".repeat(36), body: "pointer" } }; // prettier-ignore

    expect(await queues.send(queue.arn, [longest])).toEqual([]);

    expect((await queue.readAll())[0]?.body).toBe(body);
  });

  it("to a queue that is not there, or does not answer, end in a sentence within seconds", async () => {
    const gone = `arn:aws:sqs:${SQS_REGION}:${ACCOUNT}:nobody${kind === "fifo" ? ".fifo" : ""}`;
    await expect(queues.send(gone, LETTERS)).rejects.toThrow(new DeadLetterQueueUnwell("it does not exist", false));

    const queue = await aQueue(kind);
    proxy.rules.add({ name: "away", operation: "SendMessageBatch", fault: { kind: "loseRequest" } });
    await expect(queues.send(queue.arn, LETTERS)).rejects.toThrow(/^it does not answer/);
  });
});
