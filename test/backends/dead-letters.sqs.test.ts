import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DeadLetterQueueUnwell, type DeadLetter } from "../../services/backends/dead-letters.ts";
import { SqsDeadLetters } from "../../services/backends/dead-letters.sqs.ts";
import { error, failing, inTurn, startScriptedSqs, allDone, type ScriptedSqs } from "../support/scripted-sqs.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const ARN = "arn:aws:sqs:eu-west-1:123456789012:failed";

let sqs: ScriptedSqs;
let clock: VirtualClock;
let queues: SqsDeadLetters;
beforeEach(async () => {
  sqs = await startScriptedSqs();
  clock = new VirtualClock();
  queues = new SqsDeadLetters({
    clock,
    random: { fraction: () => 0.5, hex: (bytes) => "00".repeat(bytes) },
    endpoint: sqs.endpoint,
    credentials: { accessKeyId: "key", secretAccessKey: "secret" },
  });
});
afterEach(async () => {
  await queues.close();
  await sqs.close();
});

const letters = (count: number, body = "[1]"): DeadLetter[] =>
  Array.from({ length: count }, (_, at) => ({ id: `batch-${String(at)}`, body, attributes: { job_id: "j" } }));

/** Lets the virtual time pass while the call waits for it. */
async function withTime<T>(call: Promise<T>): Promise<T> {
  const ended = new AbortController();
  const over = call.finally(() => {
    ended.abort();
  });
  over.catch(() => undefined); // the caller hears of it below
  while (!ended.signal.aborted) {
    if (clock.sleeping > 0) await clock.advance(50);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  return over;
}

async function unwell(call: Promise<unknown>): Promise<DeadLetterQueueUnwell> {
  const thrown = await withTime(call).catch((reason: unknown) => reason);
  if (thrown instanceof DeadLetterQueueUnwell) return thrown;
  throw new Error("it was sent, or broke", { cause: thrown });
}

describe("dead letters on SQS", () => {
  it("go in tens to the queue that the ARN names, with their attributes", async () => {
    expect(await queues.send(ARN, letters(12))).toEqual([]);

    expect(sqs.asks.map(({ action, body }) => [action, new URL(body.QueueUrl).pathname, body.Entries?.length])).toEqual(
      [
        ["SendMessageBatch", "/123456789012/failed", 10],
        ["SendMessageBatch", "/123456789012/failed", 2],
      ],
    );
    expect(sqs.asks[0]?.body.Entries?.[0]).toEqual({
      ...{ Id: "0", MessageBody: "[1]" },
      MessageAttributes: { job_id: { DataType: "String", StringValue: "j" } },
    });
  });

  it("name a group and a deduplication id on a FIFO queue alone", async () => {
    await queues.send(`${ARN}.fifo`, letters(1));

    expect(sqs.asks[0]?.body.Entries?.[0]).toMatchObject({
      ...{ MessageGroupId: "batch-0", MessageDeduplicationId: "batch-0" },
    });
  });

  it("are cut into requests of at most 1 MiB", async () => {
    await queues.send(ARN, letters(3, "x".repeat(500_000)));

    expect(sqs.asks.map(({ body }) => body.Entries?.length)).toEqual([2, 1]);
  });

  it("that fail in a request that succeeds are sent again, the others are not", async () => {
    const odd = (text: string) => text === "odd";
    sqs.script = inTurn(failing(odd, "InternalError", false), allDone);

    expect(await withTime(queues.send(ARN, [...letters(2), ...letters(1, "odd")]))).toEqual([]);

    expect(sqs.asks.map(({ body }) => body.Entries?.map(({ MessageBody }) => MessageBody))).toEqual([
      ["[1]", "[1]", "odd"],
      ["odd"],
    ]);
  });

  it("that the queue will never take are answered, one by one where one spoils the request", async () => {
    sqs.script = failing((text) => text === "long", "InvalidParameterValue", true);
    expect(await queues.send(ARN, [...letters(1), ...letters(1, "long")])).toEqual([
      { index: 1, code: "InvalidParameterValue" },
    ]);

    sqs.script = ({ body }) =>
      body.Entries?.some(({ MessageBody }) => MessageBody === "long") === true
        ? error("AWS.SimpleQueueService.BatchRequestTooLong")
        : allDone({ body, action: "", accessKey: "" });
    const [returned] = await queues.send(ARN, [...letters(1), ...letters(1, "long")]);
    expect(returned?.index).toBe(1);
  });

  it.each([
    ["AccessDenied", 403, false, /may not be sent to \(AccessDenied\): grant sqs:SendMessage/],
    ["AWS.SimpleQueueService.NonExistentQueue", 400, false, /does not exist/],
    ["ThrottlingException", 400, true, /takes no more letters for now/],
    ["ServiceUnavailable", 503, true, /does not answer/],
  ] as const)("tell of %s in a sentence, and whether it may heal", async (code, status, mayHeal, words) => {
    sqs.script = () => error(code, status);

    const thrown = await unwell(queues.send(ARN, letters(1)));

    expect(thrown.message).toMatch(words);
    expect(thrown.message).not.toContain("own words");
    expect(thrown.mayHeal).toBe(mayHeal);
    expect(clock.monotonicMs(), "patience is bounded").toBeLessThan(15_000);
  });
});
