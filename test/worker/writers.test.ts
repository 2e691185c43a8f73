import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../services/protocol/lanes.ts";
import { encodeLine } from "../../services/protocol/ledger.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { Misconfigured } from "../../services/protocol/environment.ts";
import { readConfig } from "../../services/worker/config.ts";
import { Hand } from "../../services/worker/hand.ts";
import { diedRanges, isJudged } from "../../services/worker/judged.ts";
import { LaneView } from "../../services/worker/lane-view.ts";
import { LedgerWriter } from "../../services/worker/ledger-writer.ts";
import { mergedConfig } from "../../services/worker/merged-config.ts";
import { PartWriter } from "../../services/worker/part-writer.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";
import { WatchedWorld } from "../support/watched-world.ts";

const { api, job, name } = anIdentity();
const KEYS = jobKeys(api, job);

describe("the writer of parts", () => {
  it("seals a full part with its length, rows and sha256, and begins the next", async () => {
    const world = new WatchedWorld();
    const writer = new PartWriter(world.store, "results", (part) => KEYS.results(name, part));
    const half = Buffer.alloc(LIMITS.partBytesMax / 2, "x");

    expect(writer.add(half, 3)).toEqual({ part: 0, start: 0, end: half.length, rows: 3 });
    expect(await writer.flush()).toBeUndefined();
    expect(writer.add(half, 4)).toMatchObject({ part: 0, start: half.length });
    const sealed = await writer.flush();

    const whole = (await world.memory.get(KEYS.results(name, 0)))?.bytes ?? Buffer.alloc(0);
    const sha256 = createHash("sha256").update(whole).digest("hex");
    expect(sealed).toEqual({ t: "sealed", of: "results", part: 0, bytes: LIMITS.partBytesMax, rows: 7, sha256 });
    expect(writer.add(Buffer.from("y\n"), 1)).toEqual({ part: 1, start: 0, end: 2, rows: 1 });
    expect(await writer.flush()).toBeUndefined();
    expect((await world.memory.get(KEYS.results(name, 1)))?.bytes.toString()).toBe("y\n");
  });

  it("writes nothing when there is nothing", async () => {
    const world = new WatchedWorld();

    await new PartWriter(world.store, "errors", (part) => KEYS.errors(name, part)).flush();

    expect(world.calls).toEqual([]);
  });
});

describe("the writer of a ledger", () => {
  it("begins another object when one is full, each with its worker's line", async () => {
    const world = new WatchedWorld();
    const writer = new LedgerWriter(world.store, api, job, name);
    const long = { t: "left", why: "x".repeat(LIMITS.partBytesMax) } as const;

    for (const line of [long, { t: "ready", hook: true } as const]) {
      writer.add(line);
      await writer.append(writer.take());
    }

    const first = encodeLine({ t: "worker", format: 1, worker: name });
    expect((await world.memory.get(KEYS.ledger(name, 0)))?.bytes.toString()).toBe(first + encodeLine(long));
    expect((await world.memory.get(KEYS.ledger(name, 1)))?.bytes.toString()).toBe(
      first + encodeLine({ t: "ready", hook: true }),
    );
  });
});

describe("the hand of a worker", () => {
  const take = (hand: Hand, batch: number) =>
    hand.take({ message: aOneItemMessage(batch), receipt: `r${String(batch)}`, deliveries: 1 }, false);

  it("gives what came in the order of its coming, and what was put back first", () => {
    const hand = new Hand();
    for (const batch of [4, 2, 9]) take(hand, batch);

    const first = hand.next();
    expect(first?.message.batch).toBe(4);
    expect(hand.peek()?.message.batch).toBe(2);
    if (first !== undefined) hand.putBack(first);

    expect([hand.next(), hand.next(), hand.next(), hand.next()].map((held) => held?.message.batch)).toEqual([
      4,
      2,
      9,
      undefined,
    ]);
    expect(hand).toMatchObject({ size: 3, waiting: 0 });
  });

  it("holds a batch until it is dropped, and names what it holds as ranges", () => {
    const hand = new Hand();
    const held = [5, 3, 4, 9].map((batch) => take(hand, batch));
    const [begun] = held;
    if (begun !== undefined) begun.begun = true;

    expect(hand.line(7)).toEqual({
      t: "held",
      held: [
        [3, 5],
        [9, 9],
      ],
      started: [5],
      polled: 7,
    });
    expect(hand.takeChange()).toBe(true);
    expect(hand.takeChange()).toBe(false);
    if (begun !== undefined) hand.drop(begun);
    expect(hand.holds(5)).toBe(false);
    expect(hand.receipts()).toEqual(["r3", "r4", "r9"]);
    expect(hand.takeAll().map(({ message }) => message.batch)).toEqual([3, 4, 9]);
    expect(hand.size).toBe(0);
  });

  it("stays in order over very many pointers", () => {
    const hand = new Hand();
    for (let batch = 0; batch < 5000; batch += 1) take(hand, batch);

    const order = Array.from({ length: 5000 }, () => hand.next()?.message.batch);
    expect(order).toEqual(Array.from({ length: 5000 }, (_, batch) => batch));
  });
});

describe("the view of the lane record", () => {
  const record: LaneRecord = { ...EMPTY_LANE, epoch: 1, job, owner: "me", keep: { 1: 1 }, hand: 3, beat: 8 };

  it.each<[string, Partial<LaneRecord> | undefined, "work" | "leave" | "abort"]>([
    ["work", {}, "work"],
    ["abort at a stop", { stop: true }, "abort"],
    ["abort for another job", { job: "another" }, "abort"],
    ["abort for another epoch", { epoch: 2 }, "abort"],
    ["abort without a record", undefined, "abort"],
    ["leave when its index is not kept", { keep: { 1: 0 } }, "leave"],
    ["leave when its generation is not kept", { keep: { 2: 5 } }, "leave"],
  ])("says %s", async (_, change, word) => {
    const world = new WatchedWorld();
    await world.memory.put(KEYS.splitEnd, Buffer.from("{}"));
    const bytes = Buffer.from(JSON.stringify({ ...record, ...change }));
    if (change !== undefined) await world.memory.swap(apiKeys(api).lane(0), bytes, undefined);

    expect(await new LaneView(world.store, world.clock, anIdentity(), 5000).read()).toBe(word);
  });

  it("lets nobody leave before the split has ended", async () => {
    const world = new WatchedWorld();
    const bytes = Buffer.from(JSON.stringify({ ...record, keep: {} }));
    await world.memory.swap(apiKeys(api).lane(0), bytes, undefined);

    expect(await new LaneView(world.store, world.clock, anIdentity(), 5000).read()).toBe("work");
  });

  it("is as old as the begin of its last good read", async () => {
    const world = new WatchedWorld();
    const view = new LaneView(world.store, world.clock, anIdentity(), 5000);
    expect(view.ageMs()).toBe(Infinity);
    await world.memory.swap(apiKeys(api).lane(0), Buffer.from(JSON.stringify(record)), undefined);

    await view.read();
    await world.clock.advance(500);
    world.before = () => {
      throw new Error("the store does not answer");
    };

    await expect(view.read()).rejects.toThrow("does not answer");
    expect(view).toMatchObject({ hand: 3, beat: 8 });
    expect(view.ageMs()).toBe(500);
  });
});

describe("what a worker looks up", () => {
  it("is whether this very attempt was judged", async () => {
    const world = new WatchedWorld();
    const verdict = { t: "died", batch: 3, attempt: 2, worker: name, cause: "worker_died" } as const;
    await world.memory.append(KEYS.verdict(4, 0), Buffer.from(`${encodeLine(verdict)}{"t":"died","batch":5,"att`), 0);
    const judged = (batch: number, attempt: number) => isJudged(world.store, api, aOneItemMessage(batch, { attempt }));

    expect(await judged(3, 2)).toBe(true);
    expect(await judged(3, 1)).toBe(true);
    expect(await judged(3, 3)).toBe(false);
    expect(await judged(5, 1)).toBe(false);
  });

  it("is which items of this very attempt workers died over, which charges no attempt", async () => {
    const world = new WatchedWorld();
    const over = { t: "died", batch: 3, attempt: 2, worker: name, cause: "worker_died", range: [0, 4] } as const;
    const lines = [over, { ...over, range: [2, 4] }, { ...over, attempt: 1 }, { ...over, batch: 4 }] as const;
    await world.memory.append(KEYS.verdict(4, 0), Buffer.from(lines.map(encodeLine).join("")), 0);
    const message = (attempt: number) => aOneItemMessage(3, { attempt });

    expect(await diedRanges(world.store, api, message(2))).toEqual([
      [0, 4],
      [2, 4],
    ]);
    expect(await isJudged(world.store, api, message(2))).toBe(false);
    expect(await isJudged(world.store, api, message(1))).toBe(true);
  });

  it("is the API's config with the submission's merged over it", () => {
    const merged = mergedConfig({ a: { x: 1, y: [1] }, b: 2 }, { a: { y: [2, 3], z: null }, c: { d: 1 } });

    expect(JSON.parse(JSON.stringify(merged))).toEqual({ a: { x: 1, y: [2, 3], z: null }, b: 2, c: { d: 1 } });
    expect(JSON.stringify(mergedConfig({}, JSON.parse('{"__proto__":{"x":1}}') as Record<string, unknown>))).toContain(
      "__proto__",
    );
  });

  it("is its environment, all faults of which are named at once", () => {
    const whole = {
      MILLRACE_API: api,
      MILLRACE_JOB: job,
      MILLRACE_LANE: "0",
      MILLRACE_EPOCH: "1",
      MILLRACE_GENERATION: "1",
      MILLRACE_INDEX: "0",
      MILLRACE_ROOT: "/r",
      MILLRACE_SOCKET: "/s",
      MILLRACE_SCRATCH: "/t",
    };

    expect(readConfig(whole, () => "aa").identity).toEqual(anIdentity());
    const faulty = { ...whole, MILLRACE_JOB: "", MILLRACE_LANE: "first", MILLRACE_EPOCH: undefined };
    expect(() => readConfig(faulty, () => "aa")).toThrow(Misconfigured);
    expect(() => readConfig(faulty, () => "aa")).toThrow(
      /MILLRACE_JOB is not set.*\nMILLRACE_LANE is no whole number.*\nMILLRACE_EPOCH is not set/,
    );
  });
});
