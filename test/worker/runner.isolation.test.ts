import { describe, expect, it } from "vitest";
import { batchId } from "../../services/protocol/ids.ts";
import { encodeLine } from "../../services/protocol/ledger.ts";
import type { BatchMessage } from "../../services/protocol/messages.ts";
import { RunnerBench } from "../support/a-runner.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";
import {
  aBatchOfEight,
  aBench,
  failedItems,
  Handlers,
  kept,
  KEYS,
  rows,
  take,
  type Deed,
} from "../support/bad-items.ts";
import { aJobSpec } from "../support/builders.ts";

describe("a batch whose last attempt fails", () => {
  it.each<[Deed, string]>([
    ["raise", "raised"],
    ["die", "killed"],
    ["wrong length", "bad_answer"],
    ["out of memory", "out_of_memory"],
    ["end before it begins", "killed"],
  ])("fails no item but the one that does this: %s", async (deed, cause) => {
    const handlers = Handlers.bad({ 5: deed });
    const bench = await aBench(handlers);
    await take(bench);

    expect(await bench.outcomes()).toMatchObject([{ result: "some", items: 8, failed: 1 }]);
    expect(await failedItems(bench)).toEqual([[5, cause]]);
    expect(await rows(bench)).toEqual([0, 1, 2, 3, 4, 6, 7]);
    expect(bench.broken).toEqual([]);
  });

  it("is run by halves under ids of their own, within two calls a level", async () => {
    const handlers = Handlers.bad({ 5: "raise" });
    await take(await aBench(handlers));

    expect(handlers.ranges).toEqual([[0, 8], [0, 4], [4, 8], [4, 6], [4, 5], [5, 6], [6, 8]]); // prettier-ignore
    const { job } = anIdentity();
    expect(handlers.calls[1]?.meta).toEqual({
      batch_id: batchId(job, 0, "/0-4"),
      parent_id: batchId(job, 0),
      attempt: 1,
      items: 4,
      first: 0,
    });
    expect(handlers.calls[0]?.meta.parent_id).toBeUndefined();
    expect(new Set(handlers.calls.map(({ meta }) => meta.batch_id)).size).toBe(7);
  });

  it("ends an item that hangs by its share of the batch timeout", async () => {
    const handlers = Handlers.bad({ 2: "hang" });
    const bench = await aBench(handlers, { spec: aJobSpec({ attempts: 1, batch_timeout_seconds: 8 }) });
    await take(bench);
    const seconds: number[] = [];
    for (
      let tenths = 0, calls = handlers.calls.length;
      tenths < 250 && (await bench.outcomes()).length === 0;
      tenths += 1
    ) {
      await bench.world.clock.advance(100);
      for (let turn = 0; turn < 4; turn += 1) await bench.settle();
      if (handlers.calls.length > calls) seconds.push(tenths / 10);
      calls = handlers.calls.length;
    }

    expect(seconds.map((at) => Math.round(at))).toEqual([8, 12, 14, 15]); // 8, then 4, 2 and 1 more
    expect(await failedItems(bench)).toEqual([[2, "timed_out"]]);
  });

  it.each<[string, Partial<BatchMessage>, Parameters<typeof aJobSpec>[0]]>([
    ["when a later attempt comes", {}, { attempts: 2 }],
    ["when the job forbids it", {}, { isolate: false }],
    ["when dead letters were asked for", {}, { dead_letter_queue: { arn: "arn", max_receive_count: 1 } }],
    ["when it has one item", { pointer: aOneItemMessage(0).pointer }, {}],
  ])("is left whole %s", async (_, message, spec) => {
    const handlers = Handlers.bad({ 0: "raise" });
    const bench = await aBench(handlers, { spec: aJobSpec({ attempts: 1, ...spec }) });
    await take(bench, aBatchOfEight(message));

    expect(handlers.calls).toHaveLength(1);
    expect(await bench.outcomes()).toMatchObject([{ result: "none" }]);
  });

  it("is no reason to fail items that run well in smaller numbers, and the outcome says in which", async () => {
    const handlers = new Handlers((indexes) => (indexes.length > 3 ? "out of memory" : undefined));
    const said: string[] = [];
    const bench = await aBench(handlers, { say: (text) => said.push(text) });
    await take(bench);

    expect(await bench.outcomes()).toMatchObject([{ result: "all", failed: 0, fits: 2 }]);
    expect(await rows(bench)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(said).toEqual(["8 items at a time ran out of memory, and 2 at a time did not: lower batch_size to that"]);
  });

  it("fails what is undecided as one group when its time is over, and says what to set", async () => {
    const handlers = new Handlers(() => "hang");
    const bench = await aBench(handlers, { spec: aJobSpec({ attempts: 1, batch_timeout_seconds: 40 }) });
    await take(bench);
    for (let second = 0; second < 200; second += 1) {
      await bench.world.clock.advance(1_000);
      await bench.settle();
    }

    const failed = await failedItems(bench);
    expect(failed.map(([index]) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(failed.filter(([, cause]) => cause === "not_isolated").length).toBeGreaterThan(3);
    const found = await bench.world.memory.get(KEYS.errors(anIdentity().name, 0));
    expect(found?.bytes.toString()).toContain("told apart for 80 seconds");
    expect(found?.bytes.toString()).toContain("give a longer batch_timeout");
  });

  it("keeps its handler to itself until it is done, also where several short batches have a place in the pipe", async () => {
    const handlers = new Handlers((indexes) => {
      if (!indexes.includes(5)) return undefined;
      return indexes.length === 4 ? "hang" : "raise";
    });
    const bench = await aBench(handlers);
    await take(bench, aOneItemMessage(8)); // now it is known that batches are short
    await take(bench, aBatchOfEight({ batch: 1 }));
    expect(handlers.ranges.at(-1)).toEqual([4, 8]);
    await take(bench, aOneItemMessage(9));
    expect(handlers.ranges.at(-1)).toEqual([4, 8]);
    handlers.all[0]?.kill("timed_out");
    for (let turn = 0; turn < 12; turn += 1) await bench.settle();

    expect(handlers.ranges.slice(-3)).toEqual([[5, 6], [6, 8], [9, 10]]); // prettier-ignore
    expect((await bench.outcomes()).map((line) => line.batch)).toEqual([8, 1, 9]);
  });
});

describe("a batch that is taken apart and changes hands", () => {
  it("goes on from what was kept, and runs none of it again", async () => {
    const first = Handlers.bad({ 5: "hang" });
    const bench = await aBench(first);
    await take(bench);
    expect(await kept(bench)).toEqual([]);
    for (const handler of first.all) handler.kill("timed_out");
    for (let turn = 0; turn < 12; turn += 1) await bench.settle();
    expect(await kept(bench)).toEqual(["1-0-4"]);
    await bench.runner.abort();

    const second = Handlers.bad({ 5: "raise" });
    const other = new RunnerBench({
      startHandler: second.start,
      spec: aJobSpec({ attempts: 1 }),
      store: bench.world.store,
    });
    await other.runner.start(new AbortController().signal);
    await take(other, aBatchOfEight(), 2);

    expect(second.ranges).toEqual([[0, 8], [4, 8], [4, 6], [4, 5], [5, 6], [6, 8]]); // prettier-ignore
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ["emptied", () => Buffer.alloc(0)],
    ["cut off", (bytes) => bytes.subarray(0, bytes.length - 3)],
    ["made rubbish", () => Buffer.from("}\n{")],
    ["another range's", (bytes) => Buffer.concat([bytes, bytes.subarray(bytes.lastIndexOf(10, -2) + 1)])],
  ])("runs again what was kept and is %s since", async (_, damage) => {
    const first = Handlers.bad({ 5: "raise" });
    const bench = await aBench(first);
    await take(bench);
    const key = KEYS.isolated(0, 1, [0, 4]);
    const bytes = (await bench.world.memory.get(key))?.bytes ?? Buffer.alloc(0);
    expect(bytes.length).toBeGreaterThan(0);
    await bench.world.memory.delete(key);
    await bench.world.memory.put(key, damage(bytes));

    const second = Handlers.bad({ 5: "raise" });
    const identity = anIdentity({ name: "1-1-1-bb" });
    await take(await aBench(second, { store: bench.world.store, identity }));

    expect(second.ranges).toEqual([[0, 8], [0, 4]]); // prettier-ignore
    expect(await rows(bench, identity.name)).toEqual([0, 1, 2, 3, 4, 6, 7]);
  });

  it("does not run as a whole where workers died over it, and writes down before each half that it begins", async () => {
    const handlers = Handlers.bad({ 5: "raise" });
    const bench = await aBench(handlers);
    const died = { t: "died", batch: 0, attempt: 1, worker: "1-1-9-ff", cause: "worker_died" } as const;
    const verdicts = [encodeLine({ ...died, range: [0, 8] }), encodeLine({ ...died, range: [0, 4] }), encodeLine({ ...died, range: [0, 2] })]; // prettier-ignore
    const single = encodeLine({ ...died, range: [1, 2] });
    await bench.world.memory.append(KEYS.verdict(1, 0), Buffer.from(verdicts.join("") + single), 0);
    await take(bench, aBatchOfEight({ alone: true }));

    expect(handlers.ranges).toEqual([[0, 1], [2, 4], [4, 8], [4, 6], [4, 5], [5, 6], [6, 8]]); // prettier-ignore
    const started = (await bench.ledger()).flatMap((line) => (line.t === "started" ? [line.range] : []));
    expect(started).toEqual(handlers.ranges);
    expect(await failedItems(bench)).toEqual([
      [1, "worker_died"],
      [5, "raised"],
    ]);
  });

  it("is put back whole by a worker that leaves meanwhile", async () => {
    const handlers = Handlers.bad({ 5: "hang" });
    const bench = await aBench(handlers);
    await take(bench);
    await bench.runner.abort();

    expect(await bench.outcomes()).toEqual([]);
    expect(bench.hand.waiting).toBe(1);
    expect(bench.broken).toEqual([]);
  });
});
