import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LaneGone } from "../../services/backends/batch-queue.ts";
import type { SqsQueue } from "../../services/backends/batch-queue.sqs.ts";
import { failureOf, SqsUnderTest } from "../support/an-sqs-queue.ts";
import { messages } from "../support/messages.ts";
import { allDone, error, inTurn, reset } from "../support/scripted-sqs.ts";

const LANE = "api/1";
const poll = { messagesMax: 10, waitSeconds: 20 };

let under: SqsUnderTest;
beforeEach(async () => (under = await SqsUnderTest.start()));
afterEach(() => under.close());

const CALLS = [
  ["send", "sqs:SendMessage", (queue: SqsQueue) => queue.send(LANE, messages(1))],
  ["receive", "sqs:ReceiveMessage", (queue: SqsQueue) => queue.receive(LANE, poll)],
  ["extend", "sqs:ChangeMessageVisibility", (queue: SqsQueue) => queue.extend(LANE, ["r"])],
  ["ack", "sqs:DeleteMessage", (queue: SqsQueue) => queue.ack(LANE, ["r"])],
  ["release", "sqs:ChangeMessageVisibility", (queue: SqsQueue) => queue.release(LANE, ["r"])],
  ["probe", "sqs:GetQueueAttributes", (queue: SqsQueue) => queue.probe(LANE)],
] as const;

describe("errors of SqsQueue", () => {
  const queueWords = () => `the queue of lane api/1 (${under.sqs.endpoint}/000000000000/lane-1)`;

  it.each(["QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"])(
    "say that a lane is gone: %s",
    async (code) => {
      under.sqs.script = () => error(code);
      const queue = under.queue();

      for (const [, , ask] of CALLS) {
        const failure = await failureOf(ask(queue));
        expect(failure).toBeInstanceOf(LaneGone);
        expect(failure.message).toBe(`${queueWords()} does not exist; check its URL, or deploy the API's lanes again`);
      }
    },
  );

  it("say that there is no such lane", async () => {
    for (const lane of ["api/2", "api/", "api"]) {
      const failure = await failureOf(under.queue().probe(lane));
      expect(failure).toBeInstanceOf(LaneGone);
      expect(failure.message).toBe(`lane ${lane} has no queue: there are queue URLs for 2 lanes`);
    }
  });

  it.each(CALLS)("name the grant that %s needs", async (_, grant, ask) => {
    under.sqs.script = () => error("AccessDenied", 403, "User: arn:aws:iam::1:secret is not authorized");

    expect((await failureOf(ask(under.queue()))).message).toBe(
      `${queueWords()} may not be used (AccessDenied, status 403): grant ${grant} on it, and check that the credentials are valid`,
    );
    expect(under.sqs.asks).toHaveLength(1);
  });

  it("say that the region is another one", async () => {
    under.sqs.script = () =>
      error("InvalidSignatureException", 403, "Credential should be scoped to a valid region, not 'eu-west-1'.");

    expect((await failureOf(under.queue().probe(LANE))).message).toBe(
      `${queueWords()} is not in the region that the requests are signed for (InvalidSignatureException, status 403); set AWS_REGION to the queue's region`,
    );
  });

  it("of throttling and of silence come after a tenth of a lease from a probe, and after all patience from an ack", async () => {
    under.sqs.script = () => error("ThrottlingException");
    const throttled = await failureOf(under.withTime(under.queue().probe(LANE)));
    expect(throttled.message).toContain("takes no more requests for now (ThrottlingException, status 400)");
    expect(under.clock.monotonicMs()).toBeLessThanOrEqual(6000);

    under.sqs.script = () => reset;
    const silent = await failureOf(under.withTime(under.queue({ patienceSeconds: 60 }).ack(LANE, ["r"])));
    expect(silent.message).toContain("does not answer (");
    expect(under.clock.monotonicMs()).toBeGreaterThan(50_000);
  });

  it("do not come from credentials that expire: it waits, says so once, and goes on with new ones", async () => {
    let current = "first";
    const queue = under.queue({
      credentials: () => Promise.resolve({ accessKeyId: current, secretAccessKey: "secret" }),
    });
    under.sqs.script = inTurn(allDone, (ask) => {
      current = "second";
      return ask.accessKey === "first" ? error("ExpiredToken", 403) : allDone(ask);
    });

    await queue.ack(LANE, ["r0"]);
    await under.withTime(Promise.all([queue.ack(LANE, ["r1"]), queue.extend(LANE, ["r2"])]));

    expect(under.notices).toHaveLength(2);
    expect(under.notices[0]).toContain("are missing or expired: work goes on when new ones come");
    expect(under.notices[1]).toBe("the AWS credentials are good again: SQS answers");
    expect(under.sqs.asks.at(-1)?.accessKey).toBe("second");
  });
});
