import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aDelivery, failureOf, SqsUnderTest } from "../support/an-sqs-queue.ts";
import { allDone, failing, inTurn, received, reset } from "../support/scripted-sqs.ts";

const LANE = "api/1";
const poll = { messagesMax: 10, waitSeconds: 20 };

let under: SqsUnderTest;
beforeEach(async () => (under = await SqsUnderTest.start()));
afterEach(() => under.close());

describe("leases of SqsQueue", () => {
  const receipts = Array.from({ length: 12 }, (_, i) => `r${String(i)}`);

  it("are lost where SQS refuses a receipt, and renewed again where it failed", async () => {
    const [expired, weak] = ["r3", "r7"];
    let tries = 0;
    under.sqs.script = (ask) => {
      if (ask.body.Entries?.some(({ ReceiptHandle }) => ReceiptHandle === expired) === true) {
        return failing((receipt) => receipt === expired, "ReceiptHandleIsInvalid", true)(ask);
      }
      return failing((receipt) => receipt === weak && tries++ < 2, "InternalError", false)(ask);
    };

    expect(await under.withTime(under.queue().extend(LANE, receipts))).toEqual([expired]);
  });

  it("are lost when they could not be renewed for their length", async () => {
    under.sqs.script = failing((receipt) => receipt === "r1", "InternalError", false);

    expect(await under.withTime(under.queue({ leaseSeconds: 30 }).extend(LANE, receipts))).toEqual(["r1"]);

    expect(under.clock.monotonicMs()).toBeLessThanOrEqual(30_000);
  });

  it("are lost, and no error, when SQS does not answer for their length", async () => {
    under.sqs.script = () => reset;

    expect(await under.withTime(under.queue({ leaseSeconds: 10 }).extend(LANE, ["r0"]))).toEqual(["r0"]);
  });

  it("of acks and releases are done with where SQS refuses a receipt, and tried again where it failed", async () => {
    const queue = under.queue();
    const fail = failing((receipt) => receipt === "r2", "InternalError", false);
    const refuse = failing((receipt) => receipt === "r2", "ReceiptHandleIsInvalid", true);
    under.sqs.script = inTurn(fail, refuse, fail, refuse);

    await under.withTime(queue.ack(LANE, receipts.slice(0, 5)));
    await under.withTime(queue.release(LANE, receipts.slice(0, 5)));

    const asked = under.sqs.asks.map(({ action, body }) => [
      action,
      body.Entries?.length,
      body.Entries?.[0]?.VisibilityTimeout,
    ]);
    expect(asked).toEqual([
      ["DeleteMessageBatch", 5, undefined],
      ["DeleteMessageBatch", 1, undefined],
      ["ChangeMessageVisibilityBatch", 5, 0],
      ["ChangeMessageVisibilityBatch", 1, 0],
    ]);
  });

  it("end by themselves when an ack is in vain, which is an error", async () => {
    under.sqs.script = failing((receipt) => receipt === "r2", "InternalError", false);

    const failure = await failureOf(under.withTime(under.queue({ patienceSeconds: 3 }).ack(LANE, receipts)));

    expect(failure.message).toBe(
      "1 messages of lane api/1 could not be given an ack (InternalError); their leases end by themselves",
    );
  });
});

describe("SQS's ceiling of 12 hours", () => {
  const HOUR = 3_600_000;

  async function aHolder() {
    const queue = under.queue();
    under.sqs.script = inTurn(() => received(aDelivery(1), aDelivery(2)), allDone);
    await queue.receive(LANE, poll);
    return queue;
  }
  const asked = () => under.sqs.asks.slice(1).map(({ action, body }) => [action, body.Entries?.length]);

  it("does not matter to a lease that is younger", async () => {
    const queue = await aHolder();

    under.clock.jump(11.8 * HOUR);

    expect(await queue.extend(LANE, ["r1", "r2"])).toEqual([]);
    expect(asked()).toEqual([["ChangeMessageVisibilityBatch", 2]]);
  });

  it("is met by an ack; the receipt stays good, and asks for nothing any more", async () => {
    const queue = await aHolder();

    under.clock.jump(11.9 * HOUR);
    expect(await queue.extend(LANE, ["r1", "r2"])).toEqual([]);
    under.clock.jump(HOUR);
    expect(await queue.extend(LANE, ["r1", "r2"])).toEqual([]);
    await queue.ack(LANE, ["r1"]);
    await queue.release(LANE, ["r2"]);

    expect(asked()).toEqual([["DeleteMessageBatch", 2]]);
    expect(under.notices).toHaveLength(1);
    expect(under.notices[0]).toContain("2 batches of lane api/1 are held for nearly 12 hours");
  });

  it("loses a lease that SQS has ended before", async () => {
    const queue = await aHolder();
    under.sqs.script = failing((receipt) => receipt === "r2", "ReceiptHandleIsInvalid", true);

    under.clock.jump(11.9 * HOUR);

    expect(await queue.extend(LANE, ["r1", "r2"])).toEqual(["r2"]);
  });
});
