import { describe, expect, it } from "vitest";
import type { PoolWorker } from "../../../services/backends/worker-pool.ts";
import { Beats } from "../../../services/batch-api/driver/beats.ts";
import { Deposed, LaneLease, readLane, swapLane } from "../../../services/batch-api/driver/lane-lease.ts";
import { LaneWatch } from "../../../services/batch-api/driver/lane-watch.ts";
import { PoolWatch } from "../../../services/batch-api/driver/pool-watch.ts";
import { SendBook } from "../../../services/batch-api/driver/send-book.ts";
import { byGrant } from "../../../services/batch-api/driver/waiting.ts";
import { EMPTY_LANE } from "../../../services/protocol/lanes.ts";
import { newWorkerFacts } from "../../../services/protocol/worker-facts.ts";
import { aJobSpec } from "../../support/builders.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

describe("what empty polls prove", () => {
  it("is nothing before two of them named a beat of this driver", () => {
    const beats = new Beats();
    beats.written(5, 1000);

    beats.polled("a", 4);
    expect(beats.takeNews()).toBe(false);
    beats.polled("a", 5);
    expect(beats.twoPollsAfterMs).toBeUndefined();
    beats.polled("b", 5);

    expect(beats.twoPollsAfterMs).toBe(1000);
  });

  it("is the earlier one of the two latest, whoever polled, and counts each poll once", () => {
    const beats = new Beats();
    for (const [beat, atMs] of [
      [1, 100],
      [2, 200],
      [3, 300],
    ] as const)
      beats.written(beat, atMs);

    beats.polled("a", 3);
    beats.polled("a", 3);
    expect(beats.twoPollsAfterMs).toBeUndefined();
    beats.polled("b", 1);
    expect(beats.twoPollsAfterMs).toBe(100);
    beats.polled("c", 2);

    expect(beats.twoPollsAfterMs).toBe(200);
    expect(beats.takeNews()).toBe(true);
    expect(beats.takeNews()).toBe(false);
  });
});

describe("the book of what was sent", () => {
  it("lets a suspicion wait twice as long each time, and anew for the next attempt", () => {
    const sends = new SendBook();
    const waits: number[] = [];
    for (const attempt of [1, 1, 1, 2]) {
      sends.sent(5000, attempt, 10);
      waits.push(sends.suspectAfterMs(5000, 100) - 10);
    }

    expect(waits).toEqual([100, 200, 400, 100]);
    expect(sends.attempt(5000)).toBe(2);
    expect(sends.attempt(9)).toBe(0);
  });

  it("forgets a retry once it is sent", () => {
    const sends = new SendBook();
    sends.retries.set(3, 50);

    sends.sent(3, 2, 60);

    expect(sends.retries.size).toBe(0);
  });
});

describe("the watch over the pool", () => {
  const aWorker = (generation: number, index: number, phase: PoolWorker["phase"]): PoolWorker => ({
    generation,
    index,
    phase,
  });
  const ledger = (worker: string, isReady: boolean) =>
    [worker, { ...newWorkerFacts(worker), hook: isReady ? true : undefined }] as const;

  it("notes since when fewer than half of the newest generation live; pending ones count as living", () => {
    const watch = new PoolWatch();
    const half = [aWorker(1, 0, "pending"), aWorker(1, 1, "running"), aWorker(1, 2, "ended"), aWorker(1, 3, "ended")];
    const fewer = [aWorker(1, 0, "running"), ...[1, 2, 3].map((index) => aWorker(1, index, "ended"))];
    const look = (workers: readonly PoolWorker[], nowMs: number) => watch.facts(workers, { 1: 4 }, new Map(), 1, nowMs);

    expect(look(half, 10)).toMatchObject({ highest: 1, live: 2, size: 4, shortSinceMs: undefined });
    expect(look(fewer, 20).shortSinceMs).toBe(20);
    expect(look(fewer, 30).shortSinceMs).toBe(20);
    expect(look(half, 40).shortSinceMs).toBeUndefined();
    expect(look(fewer, 50).shortSinceMs).toBe(50);
  });

  it("takes the highest generation of lane record and pool, and begins its time anew", () => {
    const watch = new PoolWatch();
    watch.facts([aWorker(1, 0, "ended")], { 1: 1 }, new Map(), 1, 10);

    expect(watch.facts([aWorker(2, 0, "ended")], { 1: 1 }, new Map(), 1, 20)).toMatchObject({
      highest: 2,
      shortSinceMs: 20,
    });
  });

  it("counts generations in a row that ended before any of their workers was ready, in this epoch", () => {
    const workers = [1, 2, 3].map((generation) => aWorker(generation, 0, "ended"));
    const unready = (...ledgers: (readonly [string, ReturnType<typeof newWorkerFacts>])[]) =>
      new PoolWatch().facts(workers, {}, new Map(ledgers), 7, 0).unreadyInRow;

    expect(unready()).toBe(3);
    expect(unready(ledger("7-1-0-aa", true))).toBe(2);
    expect(unready(ledger("7-3-0-aa", true))).toBe(0);
    expect(unready(ledger("6-3-0-aa", true), ledger("7-3-0-bb", false))).toBe(3);
    expect(new PoolWatch().facts([...workers, aWorker(3, 1, "pending")], {}, new Map(), 7, 0).unreadyInRow).toBe(0);
  });
});

describe("the grant of lanes", () => {
  const job = (name: string, priority: number, accepted_at: number) => aJobSpec({ job: name, priority, accepted_at });
  const waiting = [job("b", 0, 10), job("c", 5, 30), job("a", 0, 20), job("d", 5, 30)];
  const order = (epoch: number) => [...waiting].sort(byGrant(epoch)).map((spec) => spec.job);

  it("goes by priority, then age", () => {
    for (const epoch of [1, 2, 3, 5]) expect(order(epoch)).toEqual(["c", "d", "b", "a"]);
  });

  it("goes by age alone at every fourth epoch", () => {
    for (const epoch of [4, 8]) expect(order(epoch)).toEqual(["b", "a", "c", "d"]);
  });
});

describe("the watch over lanes", () => {
  it("lets a lane be taken over after a whole lease of the same beat, or at once without an owner", async () => {
    const { clock } = new WatchedWorld();
    const watch = new LaneWatch(clock, 1000);
    const record = { ...EMPTY_LANE, job: "j", owner: "other", beat: 1 };

    expect(watch.mayTakeOver("digits", 0, { ...record, owner: "" })).toBe(true);
    expect(watch.mayTakeOver("digits", 0, record)).toBe(false);
    await clock.advance(999);
    expect(watch.mayTakeOver("digits", 0, { ...record, beat: 2 })).toBe(false);
    await clock.advance(999);
    expect(watch.mayTakeOver("digits", 0, { ...record, beat: 2 })).toBe(false);
    await clock.advance(1);

    expect(watch.mayTakeOver("digits", 0, { ...record, beat: 2 })).toBe(true);
    expect(watch.mayTakeOver("digits", 1, { ...record, beat: 2 })).toBe(false);
  });
});

describe("the owner's hold on a lane", () => {
  async function aLease(world: WatchedWorld): Promise<LaneLease> {
    const record = { ...EMPTY_LANE, epoch: 1, term: 3, job: "j", owner: "us", writes: 7 };
    const held = await swapLane(world.memory, "digits", 0, record, undefined);
    if (held === undefined) throw new Error("the lane was there already");
    return new LaneLease(world.store, "digits", held);
  }

  it("writes one change after the other, and counts them", async () => {
    const world = new WatchedWorld();
    const lease = await aLease(world);

    await Promise.all([lease.update({ beat: 1 }), lease.update({ hand: 5 }), lease.update({ stop: true })]);

    expect((await readLane(world.memory, "digits", 0))?.record).toMatchObject({
      beat: 1,
      hand: 5,
      stop: true,
      writes: 10,
    });
  });

  it("is lost for good once another replica has written", async () => {
    const world = new WatchedWorld();
    const lease = await aLease(world);
    const found = await readLane(world.memory, "digits", 0);
    const theirs = { ...EMPTY_LANE, epoch: 1, term: 4, job: "j", owner: "them", writes: 8 };
    await swapLane(world.memory, "digits", 0, theirs, found?.version);

    await expect(lease.update({ beat: 1 })).rejects.toThrow(Deposed);
    await expect(lease.update({ owner: "" })).rejects.toThrow(Deposed);
    expect((await readLane(world.memory, "digits", 0))?.record).toEqual(theirs);
  });

  it("survives an answer that was lost", async () => {
    const world = new WatchedWorld();
    const lease = await aLease(world);
    world.after = (call) => {
      world.after = () => undefined;
      throw new Error(`no answer: ${call}`);
    };

    await expect(lease.update({ beat: 1 })).rejects.toThrow("no answer");
    await lease.update({ beat: 2 });

    expect((await readLane(world.memory, "digits", 0))?.record).toMatchObject({ beat: 2, owner: "us", term: 3 });
  });
});
