import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodeMessage } from "../../services/protocol/messages.ts";
import { aDelivery, SqsUnderTest } from "../support/an-sqs-queue.ts";
import { aMessage, messages } from "../support/messages.ts";
import { allDone, done, error, failing, inTurn, received, reset } from "../support/scripted-sqs.ts";

const LANE = "api/1";
const poll = { messagesMax: 10, waitSeconds: 20 };

let under: SqsUnderTest;
beforeEach(async () => (under = await SqsUnderTest.start()));
afterEach(() => under.close());

/** Requests that wait for each other. */
class Crowd {
  arrived = 0;
  letGo!: () => void;
  /** So many have arrived. */
  readonly complete: Promise<void>;
  readonly #free = new Promise<void>((resolve) => (this.letGo = resolve));
  #completed!: () => void;
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
    this.complete = new Promise((resolve) => (this.#completed = resolve));
  }

  async join(): Promise<void> {
    this.arrived += 1;
    if (this.arrived === this.#size) this.#completed();
    await this.#free;
  }
}

describe("what SqsQueue sends", () => {
  it("goes in requests of ten to the queue of its lane", async () => {
    expect(await under.queue().send(LANE, messages(25))).toEqual([]);

    expect(under.sqs.asks.map(({ body }) => body.Entries?.length).toSorted()).toEqual([10, 10, 5]);
    expect(new Set(under.sqs.asks.map(({ body }) => body.QueueUrl))).toEqual(
      new Set([`${under.sqs.endpoint}/000000000000/lane-1`]),
    );
  });

  it("stays within a mebibyte a request", async () => {
    const third = aMessage(0, { job: "é".repeat(2 ** 18) }); // half a mebibyte and its frame

    expect(await under.queue().send(LANE, [third, third, aMessage(1), third])).toEqual([]);

    expect(under.sqs.asks.map(({ body }) => body.Entries?.length).toSorted()).toEqual([1, 1, 2]);
  });

  it("holds only characters that SQS takes", async () => {
    const job = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).join("") + "\u{1f701}\u{1fffe}";
    await under.queue().send(LANE, [aMessage(0, { job })]);

    const text = under.sqs.asks[0]?.body.Entries?.[0]?.MessageBody ?? "";
    expect(text).toMatch(/^[\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
    expect(JSON.parse(text)).toEqual(aMessage(0, { job }));
  });

  it("is sent again, that entry alone, when the service failed with an entry", async () => {
    const fails = failing((text) => text === encodeMessage(aMessage(3)), "InternalError", false);
    under.sqs.script = inTurn(fails, fails, allDone);

    expect(await under.withTime(under.queue().send(LANE, messages(5)))).toEqual([]);

    expect(under.sqs.asks.map(({ body }) => body.Entries?.length)).toEqual([5, 1, 1]);
  });

  it("is answered as refused when it is the entry's own fault, without another try", async () => {
    const bad = new Set([3, 12].map((batch) => encodeMessage(aMessage(batch))));
    under.sqs.script = failing((text) => bad.has(text), "InvalidMessageContents", true);

    expect(await under.queue().send(LANE, messages(15))).toEqual([3, 12]);

    expect(under.sqs.asks).toHaveLength(2);
  });

  it("is answered as refused when the service fails until a tenth of a lease is over", async () => {
    under.sqs.script = failing((text) => text === encodeMessage(aMessage(3)), "InternalError", false);

    expect(await under.withTime(under.queue().send(LANE, messages(5)))).toEqual([3]);

    expect(under.clock.monotonicMs()).toBeLessThanOrEqual(6000);
    expect(under.sqs.asks.length).toBeGreaterThan(3);
  });

  it("is sent again when an answer names an entry nowhere", async () => {
    under.sqs.script = inTurn(() => done({ Successful: [{ Id: "1" }] }), allDone);

    expect(await under.withTime(under.queue().send(LANE, messages(2)))).toEqual([]);

    expect(under.sqs.asks[1]?.body.Entries?.map(({ MessageBody }) => MessageBody)).toEqual([
      encodeMessage(aMessage(0)),
    ]);
  });

  it("goes alone when it spoils a request", async () => {
    const long = encodeMessage(aMessage(1));
    under.sqs.script = (ask) =>
      ask.body.Entries?.some(({ MessageBody }) => MessageBody === long) === true
        ? error("BatchRequestTooLong")
        : allDone(ask);

    expect(await under.queue().send(LANE, messages(3))).toEqual([1]);
  });

  it("is sent again when the reply is lost", async () => {
    under.sqs.script = inTurn(() => reset, allDone);

    expect(await under.withTime(under.queue().send(LANE, messages(3)))).toEqual([]);

    expect(under.sqs.asks.map(({ body }) => body.Entries?.length)).toEqual([3, 3]);
    expect(under.requests).toEqual(["send unreachable", "send answered"]);
  });

  it.each([
    ["throttles the request", () => error("RequestThrottled", 403)],
    ["throttles the entries", failing(() => true, "ThrottlingException", true)],
  ])("is sent by fewer requests at a time while SQS %s", async (_, throttled) => {
    const first = new Crowd(16);
    const second = new Crowd(8);
    under.sqs.script = async (ask) => {
      if (first.arrived < 16) {
        if (first.arrived === 15) first.letGo();
        await first.join();
        return throttled(ask);
      }
      await second.join();
      return allDone(ask);
    };

    const sent = under.withTime(under.queue({ callsInFlightMax: 16 }).send(LANE, messages(160)));
    await second.complete;
    for (let turns = 0; turns < 100; turns += 1) await new Promise((resolve) => setImmediate(resolve));

    expect(second.arrived).toBeLessThanOrEqual(10); // half of them, and those that the calls that went well let in
    second.letGo();
    expect(await sent).toEqual([]);
  });

  it("is answered as refused, and no error, when SQS throttles all the time", async () => {
    under.sqs.script = () => error("ThrottlingException");

    expect(await under.withTime(under.queue({ callsInFlightMax: 2 }).send(LANE, messages(45)))).toHaveLength(45);
  });

  it("has many requests in flight at a time", async () => {
    const crowd = new Crowd(32);
    under.sqs.script = async (ask) => {
      await crowd.join();
      return allDone(ask);
    };

    const sent = under.queue().send(LANE, messages(1000));
    await crowd.complete;

    crowd.letGo();
    expect(await sent).toEqual([]);
  });
});

describe("what SqsQueue receives", () => {
  it("waits whole seconds, twenty at most a request, and leases for as long as it says", async () => {
    await under.queue({ leaseSeconds: 45 }).receive(LANE, { messagesMax: 3, waitSeconds: 20.3 });

    expect(under.sqs.asks.map(({ body }) => body.WaitTimeSeconds)).toEqual([20, 1]);
    expect(under.sqs.asks[0]?.body).toMatchObject({ VisibilityTimeout: 45, MaxNumberOfMessages: 3 });
  });

  it("tells how often a message was received", async () => {
    under.sqs.script = () => received(aDelivery(4));

    expect(await under.queue().receive(LANE, poll)).toEqual([{ message: aMessage(4), receipt: "r4", deliveries: 3 }]);
  });

  it("asks for more only while requests come back full, and never for more than there is room for", async () => {
    let left = 33;
    under.sqs.script = ({ body }) => {
      const count = Math.min(left, body.MaxNumberOfMessages ?? 0);
      left -= count;
      return received(...Array.from({ length: count }, (_, i) => aDelivery(left + i)));
    };
    const queue = under.queue();

    expect(await queue.receive(LANE, { messagesMax: 25, waitSeconds: 20 })).toHaveLength(25);
    expect(under.sqs.asks.map(({ body }) => [body.MaxNumberOfMessages, body.WaitTimeSeconds])).toEqual([
      [10, 20],
      [10, 0],
      [5, 0],
    ]);
    expect(await queue.receive(LANE, { messagesMax: 1000, waitSeconds: 20 })).toHaveLength(8);
    expect(under.sqs.asks).toHaveLength(4);
  });

  it("is handed on although a further request fails", async () => {
    under.sqs.script = inTurn(
      () => received(...Array.from({ length: 10 }, (_, batch) => aDelivery(batch))),
      () => error("InternalError", 500),
    );

    expect(await under.queue().receive(LANE, { messagesMax: 20, waitSeconds: 20 })).toHaveLength(10);
  });

  it("is no empty answer while too many messages are in flight: it waits", async () => {
    under.sqs.script = inTurn(
      () => error("OverLimit", 403),
      () => error("OverLimit", 403),
      () => received(aDelivery(1)),
    );

    expect(await under.withTime(under.queue().receive(LANE, poll))).toHaveLength(1);

    expect(under.requests).toEqual(["receive throttled", "receive throttled", "receive answered"]);
    expect(under.clock.monotonicMs()).toBeGreaterThan(200);
  });

  it("leaves out what nobody understands: told by its hash, and removed", async () => {
    const strange = ["not ours: secret", encodeMessage({ ...aMessage(), format: 99 as never })];
    under.sqs.script = (ask) => {
      if (ask.action !== "ReceiveMessage") return allDone(ask);
      return received(aDelivery(1), ...strange.map((text, i) => ({ text, receipt: `strange${String(i)}` })));
    };

    expect(await under.queue().receive(LANE, poll)).toHaveLength(1);

    expect(under.undecodable).toEqual(
      strange.map((text) => [createHash("sha256").update(text).digest("hex"), Buffer.byteLength(text)]),
    );
    expect(under.sqs.asks[1]?.action).toBe("DeleteMessageBatch");
    expect(under.sqs.asks[1]?.body.Entries?.map(({ ReceiptHandle }) => ReceiptHandle)).toEqual([
      "strange0",
      "strange1",
    ]);
  });

  it("polls again, and does not call the lane empty, when nobody understands what came", async () => {
    const polls = inTurn(
      () => received({ text: "{", receipt: "r" }),
      () => received(aDelivery(1)),
    );
    under.sqs.script = (ask) => (ask.action === "ReceiveMessage" ? polls(ask) : error("InternalError", 500));

    expect(await under.withTime(under.queue({ patienceSeconds: 1 }).receive(LANE, poll))).toHaveLength(1);
  });
});

describe("the settings of SqsQueue", () => {
  it.each([0, 1.5, 43_200, NaN])("refuse a lease of %d seconds", (leaseSeconds) => {
    expect(() => under.queue({ leaseSeconds })).toThrow(
      /leaseSeconds is .*: it must be a whole number of seconds from 1 to/,
    );
  });

  it("refuse a queue URL that is none, by its lane", () => {
    expect(() => under.queue({ queueUrls: ["https://sqs.eu-west-1.amazonaws.com/1/a", "lane-1"] })).toThrow(
      /the queue URL of lane 1 is "lane-1"/,
    );
  });
});
