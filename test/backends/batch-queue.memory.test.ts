import { describe, expect, it } from "vitest";
import { MemoryQueue } from "../../services/backends/batch-queue.memory.ts";
import type { LaneActivity } from "../../services/backends/cancellable-queue.ts";
import { batchQueueContract } from "../contracts/batch-queue.contract.ts";
import { aMessage, messages } from "../support/messages.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

batchQueueContract("MemoryQueue", () => {
  const clock = new VirtualClock();
  return Promise.resolve({
    queue: new MemoryQueue({ clock }),
    advance: (seconds) => clock.advance(1000 * seconds),
    close: () => Promise.resolve(),
  });
});

function aQueue() {
  const clock = new VirtualClock();
  const heard: [string, LaneActivity][] = [];
  const queue = new MemoryQueue({ clock, onActivity: (lane, activity) => heard.push([lane, activity]) });
  return { clock, queue, heard };
}

describe("MemoryQueue", () => {
  it("shares what comes among all that wait, in the order in which they came", async () => {
    const { queue } = aQueue();
    const polls = [1, 2, 3].map(() => queue.receive("api/0", { messagesMax: 100, waitSeconds: 20 }));

    await queue.send("api/0", messages(7));

    const answers = await Promise.all(polls);
    expect(answers.map((answer) => answer.length)).toEqual([3, 2, 2]);
    expect(answers[0]?.[0]?.message).toEqual(aMessage(0));
  });

  it("serves polls in their order when messages come one by one", async () => {
    const { queue } = aQueue();
    const first = queue.receive("api/0", { messagesMax: 100, waitSeconds: 20 });
    const second = queue.receive("api/0", { messagesMax: 100, waitSeconds: 20 });

    await queue.send("api/0", [aMessage(1)]);
    await queue.send("api/0", [aMessage(2)]);

    expect((await first)[0]?.message).toEqual(aMessage(1));
    expect((await second)[0]?.message).toEqual(aMessage(2));
  });

  it("gives nothing to a poll that was given up", async () => {
    const { queue } = aQueue();
    const poll = new AbortController();
    const gone = queue.receive("api/0", { messagesMax: 1, waitSeconds: 20, signal: poll.signal });

    poll.abort();
    await queue.send("api/0", [aMessage()]);

    expect(await gone).toEqual([]);
    expect((await queue.receive("api/0", { messagesMax: 1, waitSeconds: 0 }))[0]?.deliveries).toBe(1);
  });

  it("has one timer for all polls and leases of a lane, and none when nobody waits", async () => {
    const { clock, queue } = aQueue();
    await queue.send("api/0", messages(1000));
    await queue.receive("api/0", { messagesMax: 1000, waitSeconds: 0 });
    expect(clock.sleeping).toBe(0);

    const polls = [5, 4, 3].map((waitSeconds) => queue.receive("api/0", { messagesMax: 1, waitSeconds }));
    expect(clock.sleeping).toBe(1);
    await clock.advance(5000);

    expect(await Promise.all(polls)).toEqual([[], [], []]);
    expect(clock.sleeping).toBe(0);
  });

  it("does not count a delivery that was handed back, and counts one whose holder is gone", async () => {
    const { queue } = aQueue();
    const receive = () => queue.receive("api/4", { messagesMax: 1, waitSeconds: 0 });
    await queue.send("api/4", [aMessage()]);

    await queue.release("api/4", [(await receive())[0]?.receipt ?? ""]);
    const [again] = await receive();
    await queue.abandon("api/4", [again?.receipt ?? ""]);

    expect(again?.deliveries).toBe(1);
    expect((await receive())[0]?.deliveries).toBe(2);
  });

  it("forgets what waits of former epochs as soon as a newer one sends", async () => {
    const { queue } = aQueue();
    await queue.send("api/0", messages(100_000));
    const [held] = await queue.receive("api/0", { messagesMax: 1, waitSeconds: 0 });

    await queue.send("api/0", [{ ...aMessage(7), epoch: aMessage().epoch + 1 }]);

    const left = await queue.receive("api/0", { messagesMax: 10, waitSeconds: 0 });
    expect(left.map(({ message }) => message)).toEqual([{ ...aMessage(7), epoch: aMessage().epoch + 1 }]);
    await queue.release("api/0", [held?.receipt ?? ""]);
    expect(await queue.receive("api/0", { messagesMax: 10, waitSeconds: 0 })).toHaveLength(1);
  });

  it("tells at once what happens in a lane", async () => {
    const { clock, queue, heard } = aQueue();
    const poll = queue.receive("api/4", { messagesMax: 1, waitSeconds: 1 });
    await clock.advance(1000);
    await poll;
    await queue.send("api/4", messages(2));
    const [first, second] = await queue.receive("api/4", { messagesMax: 2, waitSeconds: 0 });

    await queue.ack("api/4", [first?.receipt ?? ""]);
    await queue.release("api/4", [second?.receipt ?? ""]);

    expect(heard).toEqual([
      ["api/4", "waiting"],
      ["api/4", "empty"],
      ["api/4", "acked"],
      ["api/4", "released"],
    ]);
  });

  it("hands out twenty thousand messages once each, whatever the order of sends, releases and receives", async () => {
    const { queue } = aQueue();
    const seen = new Set<number>();
    let twice = 0;
    for (let sent = 0; sent < 20_000; sent += 1000) {
      await queue.send(
        "api/0",
        Array.from({ length: 1000 }, (_, i) => aMessage(sent + i)),
      );
      const deliveries = await queue.receive("api/0", { messagesMax: 700, waitSeconds: 0 });
      await queue.release(
        "api/0",
        deliveries.slice(0, 350).map(({ receipt }) => receipt),
      );
      for (const { message } of deliveries.slice(350)) if (message.kind === "batch") seen.add(message.batch);
      await queue.ack(
        "api/0",
        deliveries.slice(350).map(({ receipt }) => receipt),
      );
    }
    for (;;) {
      const deliveries = await queue.receive("api/0", { messagesMax: 5000, waitSeconds: 0 });
      if (deliveries.length === 0) break;
      for (const { message } of deliveries) {
        if (message.kind !== "batch") continue;
        if (seen.has(message.batch)) twice += 1;
        seen.add(message.batch);
      }
    }

    expect(seen.size).toBe(20_000);
    expect(twice).toBe(0);
  });

  it("refuses a lease that is over before it begins", () => {
    expect(() => new MemoryQueue({ clock: new VirtualClock(), leaseSeconds: 0 })).toThrow(/leaseSeconds is 0/);
  });
});
