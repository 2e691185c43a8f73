import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BatchQueue, Delivery } from "../../services/backends/batch-queue.ts";
import type { Message } from "../../services/protocol/messages.ts";
import { aMessage, messages } from "../support/messages.ts";

export interface QueueUnderTest {
  readonly queue: BatchQueue;
  /** How long a poll of these tests waits, where time is real; default 20. */
  readonly longWaitSeconds?: number;
  /** Lets the queue's own time pass, seconds. */
  advance(seconds: number): Promise<void>;
  close(): Promise<void>;
}

const LANE = "api/3";

/** What `BatchQueue` promises, sentence by sentence. */
export function batchQueueContract(name: string, open: () => Promise<QueueUnderTest>): void {
  describe(`${name} as a batch queue`, () => {
    let under: QueueUnderTest;
    let queue: BatchQueue;
    let longWaitSeconds: number;

    beforeEach(async () => {
      under = await open();
      queue = under.queue;
      longWaitSeconds = under.longWaitSeconds ?? 20;
    });
    afterEach(() => under.close());

    /** Begins a poll and comes back once the queue knows of it. */
    const poll = async (waitSeconds: number, messagesMax = 10) => {
      const answer = queue.receive(LANE, { messagesMax, waitSeconds });
      await queue.probe(LANE);
      return { answer };
    };
    const receive = (messagesMax = 10) => queue.receive(LANE, { messagesMax, waitSeconds: 0 });

    it("takes all messages and hands each of them out", async () => {
      expect(await queue.send(LANE, messages(25))).toEqual([]);

      expect(batches(await receive(100)).toSorted(byNumber)).toEqual(messages(25).map(({ batch }) => batch));
    });

    it("hands out messages of every form as they were sent", async () => {
      const span = aMessage().pointer.spans[0];
      const sent: readonly Message[] = [
        aMessage(7, { alone: true, attempt: 30, epoch: 9, first_item: 2 ** 52 }),
        aMessage(8, { pointer: { items: 3, spans: [] } }),
        aMessage(9, { pointer: { items: 20, spans: span === undefined ? [] : [span, { ...span, uri: "s3://b/ü" }] } }),
        aMessage(2 ** 40, { job: "00000000000000ab" }),
        { kind: "completion", format: 1, job: "00000000000000aa", epoch: 2, opening: 4 },
      ];
      await queue.send(LANE, sent);

      const received = (await receive(100)).map(({ message }) => message);
      expect(received).toHaveLength(sent.length);
      expect(received).toEqual(expect.arrayContaining([...sent])); // in any order
    });

    it("gives at most messagesMax messages", async () => {
      await queue.send(LANE, messages(5));

      expect(await receive(2)).toHaveLength(2);
      expect(await receive(2)).toHaveLength(2);
      expect(await receive(2)).toHaveLength(1);
    });

    it("refuses to give fewer than one", async () => {
      await expect(queue.receive(LANE, { messagesMax: 0, waitSeconds: 0 })).rejects.toThrow(/messagesMax is 0/);
    });

    it("answers at once when it is not asked to wait", async () => {
      expect(await receive()).toEqual([]);
    });

    it("waits for a first message", async () => {
      const { answer } = await poll(longWaitSeconds);

      await under.advance(longWaitSeconds - 1);
      await queue.send(LANE, [aMessage(4)]);

      expect(batches(await answer)).toEqual([4]);
    });

    it("answers with nothing when the wait is over", async () => {
      const { answer } = await poll(longWaitSeconds);

      await under.advance(longWaitSeconds);

      expect(await answer).toEqual([]);
    });

    it("keeps lanes apart", async () => {
      await queue.send("api/4", [aMessage()]);

      expect(await receive()).toEqual([]);
      expect(await queue.receive("api/4", { messagesMax: 1, waitSeconds: 0 })).toHaveLength(1);
    });

    it("hides a message for the length of a lease, then delivers it again under another receipt", async () => {
      await queue.send(LANE, [aMessage()]);
      const [first] = await receive();

      await under.advance(queue.leaseSeconds - 1);
      expect(await receive()).toEqual([]);
      await under.advance(1);
      const [second] = await receive();

      expect(first?.deliveries).toBe(1);
      expect(second?.deliveries).toBe(2);
      expect(second?.receipt).not.toBe(first?.receipt);
    });

    it("wakes a poll when a lease ends", async () => {
      await queue.send(LANE, [aMessage()]);
      await receive();
      const { answer } = await poll(queue.leaseSeconds + 5);

      await under.advance(queue.leaseSeconds);

      expect((await answer)[0]?.deliveries).toBe(2);
    });

    it("renews leases from the moment of the extend", async () => {
      await queue.send(LANE, messages(2));
      const [kept, left] = await receive();

      await under.advance(queue.leaseSeconds - 1);
      expect(await queue.extend(LANE, receipts([kept]))).toEqual([]);
      await under.advance(queue.leaseSeconds - 1);

      expect(batches(await receive())).toEqual(batches([left]));
    });

    it("adds nothing to what was left of a lease", async () => {
      await queue.send(LANE, [aMessage()]);
      const given = await receive();

      await under.advance(1);
      expect(await queue.extend(LANE, receipts(given))).toEqual([]);
      await under.advance(queue.leaseSeconds);

      expect(batches(await receive())).toEqual(batches(given));
    });

    it("answers receipts that are no longer good to an extend, and renews the others", async () => {
      await queue.send(LANE, [aMessage(1)]);
      const late = receipts(await receive());
      await under.advance(queue.leaseSeconds);
      await queue.send(LANE, [aMessage(2)]);
      const good = receipts(await receive());

      expect(await queue.extend(LANE, [...late, ...good, "no such receipt"])).toEqual([...late, "no such receipt"]);
    });

    it("removes acked messages for good", async () => {
      await queue.send(LANE, messages(2));
      const [first, second] = await receive();

      await queue.ack(LANE, receipts([first]));
      await under.advance(queue.leaseSeconds);

      expect(batches(await receive())).toEqual(batches([second]));
    });

    it("ignores the ack of a receipt that is no longer good", async () => {
      await queue.send(LANE, [aMessage()]);
      const late = receipts(await receive());
      await under.advance(queue.leaseSeconds);
      const again = await receive();

      await queue.ack(LANE, [...late, "no such receipt"]);

      expect(await queue.extend(LANE, receipts(again))).toEqual([]);
    });

    it("makes released messages visible at once", async () => {
      await queue.send(LANE, messages(2));
      const [first] = await receive();

      await queue.release(LANE, receipts([first]));

      const [again] = await receive();
      expect(batches([again])).toEqual(batches([first]));
    });

    it("wakes a poll with what is released", async () => {
      await queue.send(LANE, [aMessage(6)]);
      const held = receipts(await receive());
      const { answer } = await poll(longWaitSeconds);

      await queue.release(LANE, held);

      expect(batches(await answer)).toEqual([6]);
    });

    it("ignores the release of a receipt that is no longer good", async () => {
      await queue.send(LANE, [aMessage()]);
      const late = receipts(await receive());
      await queue.ack(LANE, late);

      await queue.release(LANE, [...late, "no such receipt"]);

      expect(await receive()).toEqual([]);
    });

    it("answers a probe", async () => {
      await expect(queue.probe(LANE)).resolves.toBeUndefined();
    });
  });
}

function batches(deliveries: readonly (Delivery | undefined)[]): readonly (number | undefined)[] {
  return deliveries.map((delivery) => (delivery?.message.kind === "batch" ? delivery.message.batch : undefined));
}

function byNumber(one = -1, other = -1): number {
  return one - other;
}

function receipts(deliveries: readonly (Delivery | undefined)[]): readonly string[] {
  return deliveries.flatMap((delivery) => (delivery === undefined ? [] : [delivery.receipt]));
}
