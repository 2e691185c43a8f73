import { describe, expect, it } from "vitest";
import { WorkQueue } from "../../components/work-queue.ts";
import { render, UNKNOWN } from "./support/render.ts";

const QUEUE = "aws:sqs/queue:Queue";
const ALLOW = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy";

function jsonOf(value: unknown): unknown {
  return JSON.parse(String(value));
}

describe("WorkQueue", () => {
  it("is a standard queue a lane: of the largest messages, long polls, encrypted, kept for two weeks", async () => {
    const stack = await render(() => {
      const queue = new WorkQueue("words", { lanes: 2, tags: { team: "text" } });
      return { urls: queue.laneUrls };
    });

    expect(stack.outputs.urls).toEqual([
      "https://sqs.eu-west-1.amazonaws.com/123456789012/words-lane-0-1234567",
      "https://sqs.eu-west-1.amazonaws.com/123456789012/words-lane-1-1234567",
    ]);
    const { redrivePolicy, ...inputs } = stack.one(QUEUE, "words-lane-0").inputs;
    expect(inputs).toEqual({
      messageRetentionSeconds: 1_209_600,
      maxMessageSize: 1_048_576,
      receiveWaitTimeSeconds: 20,
      visibilityTimeoutSeconds: 60,
      sqsManagedSseEnabled: true,
      tags: { "millrace:component": "WorkQueue", "millrace:name": "words", team: "text" },
    });
    expect(jsonOf(redrivePolicy)).toEqual({
      deadLetterTargetArn: "arn:aws:sqs:eu-west-1:123456789012:words-dead-letters-0-1234567",
      maxReceiveCount: 1_000,
    });
  });

  it("takes a dead-letter queue for each ten lanes, which only those may send to", async () => {
    const stack = await render(() => new WorkQueue("words", { lanes: 12 }));

    const allowed = stack.ofType(ALLOW).map(({ inputs }) => jsonOf(inputs.redriveAllowPolicy));
    expect(allowed).toEqual([
      { redrivePermission: "byQueue", sourceQueueArns: laneArns(0, 10) },
      { redrivePermission: "byQueue", sourceQueueArns: laneArns(10, 12) },
    ]);
    expect(stack.ofType(QUEUE)).toHaveLength(14);
    expect(jsonOf(stack.one(QUEUE, "words-lane-11").inputs.redrivePolicy)).toMatchObject({
      deadLetterTargetArn: "arn:aws:sqs:eu-west-1:123456789012:words-dead-letters-1-1234567",
    });
  });

  it("raises an alarm at the first dead letter, to whom it is told to", async () => {
    const stack = await render(() => new WorkQueue("words", { lanes: 1, alarmActions: ["arn:aws:sns:x:1:pager"] }));

    expect(stack.one("aws:cloudwatch/metricAlarm:MetricAlarm").inputs).toMatchObject({
      namespace: "AWS/SQS",
      metricName: "ApproximateNumberOfMessagesVisible",
      dimensions: { QueueName: "words-dead-letters-0-1234567" },
      comparisonOperator: "GreaterThanThreshold",
      threshold: 0,
      treatMissingData: "notBreaching",
      alarmActions: ["arn:aws:sns:x:1:pager"],
    });
  });

  it("refuses whoever comes without TLS, at every queue", async () => {
    const stack = await render(() => new WorkQueue("words", { lanes: 3 }));

    const policies = stack.ofType("aws:sqs/queuePolicy:QueuePolicy").map(({ inputs }) => jsonOf(inputs.policy));
    expect(policies).toHaveLength(4);
    for (const policy of policies) {
      const condition = { Bool: { "aws:SecureTransport": "false" } };
      expect(policy).toMatchObject({ Statement: [{ Effect: "Deny", Action: "sqs:*", Condition: condition }] });
    }
  });

  it("encrypts with a given key", async () => {
    const stack = await render(() => new WorkQueue("words", { lanes: 1, kmsKeyArn: "arn:aws:kms:x:1:key/k" }));

    for (const { inputs } of stack.ofType(QUEUE)) {
      expect(inputs).toMatchObject({ kmsMasterKeyId: "arn:aws:kms:x:1:key/k" });
      expect(inputs).not.toHaveProperty("sqsManagedSseEnabled");
    }
  });

  it("is previewed without knowing its queues", async () => {
    const stack = await render(() => ({ urls: new WorkQueue("words", { lanes: 1 }).laneUrls }), { preview: true });

    expect(stack.outputs.urls).toBe(UNKNOWN);
    expect(stack.ofType(QUEUE)).toHaveLength(2);
  });

  it.each([0, 101, 1.5, -1])("refuses %j lanes", async (lanes) => {
    const message = `WorkQueue "words": lanes is ${String(lanes)}; write a whole number from 1 to 100`;
    await expect(render(() => new WorkQueue("words", { lanes }))).rejects.toThrow(message);
  });
});

function laneArns(from: number, to: number): readonly string[] {
  const lanes = Array.from({ length: to - from }, (_, at) => from + at);
  return lanes.map((lane) => `arn:aws:sqs:eu-west-1:123456789012:words-lane-${String(lane)}-1234567`);
}
