import { describe, expect, it } from "vitest";
import type { CompletionRecord } from "../../services/protocol/jobs.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { complete } from "../../services/worker/completion.ts";
import { LANE, WorkerBench } from "../support/a-whole-worker.ts";
import { workerDeps } from "../support/a-runner.ts";
import { anIdentity } from "../support/a-worker.ts";
import { DONE, FakeHandler, RAISED } from "../support/fake-handler.ts";
import { WatchedWorld } from "../support/watched-world.ts";

const { api, job, name } = anIdentity();
const KEY = jobKeys(api, job).completion;
const OPEN: CompletionRecord = { state: "open", opening: 1, writes: 1 };

async function put(world: WatchedWorld, record: CompletionRecord): Promise<void> {
  const found = await world.memory.read(KEY);
  await world.memory.swap(KEY, Buffer.from(JSON.stringify(record)), found?.version);
}

async function stored(world: WatchedWorld): Promise<unknown> {
  const found = await world.memory.read(KEY);
  return found === undefined ? undefined : JSON.parse(found.bytes.toString());
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function aHook(record: CompletionRecord | undefined) {
  const world = new WatchedWorld();
  if (record !== undefined) await put(world, record);
  const handler = new FakeHandler();
  return { world, handler, deps: workerDeps(world) };
}

describe("the completion hook at a worker", () => {
  it("is claimed, then run, then recorded as done", async () => {
    const { world, handler, deps } = await aHook(OPEN);

    const used = complete(deps, 1, handler);
    await turns();
    expect(await stored(world)).toMatchObject({ state: "claimed", opening: 1, worker: name, writes: 2 });
    expect(handler.inPipe).toEqual(["complete"]);
    handler.answer(DONE);

    expect(await used).toBe(true);
    expect(await stored(world)).toEqual({ state: "done", opening: 1, worker: name, writes: 3 });
    expect(world.clock.sleeping).toBe(0);
  });

  it("is opened again when its worker ended the handler", async () => {
    const { world, handler, deps } = await aHook(OPEN);

    const used = complete(deps, 1, handler);
    await turns();
    handler.answer({ kind: "failed", cause: "aborted", error: "ended with exit code 0", traceback: "" });

    expect(await used).toBe(true);
    expect(await stored(world)).toMatchObject({ state: "open", opening: 2 });
  });

  it("is recorded as failed, with error and traceback, and not tried again", async () => {
    const { world, handler, deps } = await aHook(OPEN);

    const used = complete(deps, 1, handler);
    await turns();
    handler.answer(RAISED);

    expect(await used).toBe(true);
    expect(await stored(world)).toMatchObject({ state: "failed", error: "boom", traceback: "tb" });
  });

  it.each([
    { kind: "no record", record: undefined },
    { kind: "another opening", record: { ...OPEN, opening: 2 } },
    { kind: "a hook that is done", record: { state: "done", opening: 1, writes: 3, worker: null } },
    { kind: "a closed hook", record: { state: "closed", opening: 1, writes: 3, cause: "stopped" } },
  ] as const)("has had its ticket when there is $kind", async ({ record }) => {
    const { world, handler, deps } = await aHook(record);

    expect(await complete(deps, 1, handler)).toBe(true);
    expect(handler.seen).toEqual([]);
    expect(world.callsOf("swap")).toEqual([]);
  });

  it("leaves the ticket alone while somebody else has claimed it", async () => {
    const claimed: CompletionRecord = { state: "claimed", opening: 1, writes: 2, worker: "1-1-1-bb" };
    const { world, handler, deps } = await aHook(claimed);

    expect(await complete(deps, 1, handler)).toBe(false);
    expect(handler.seen).toEqual([]);
    expect(await stored(world)).toEqual(claimed);
  });

  it("does not run when somebody else was faster to claim it", async () => {
    const { world, handler, deps } = await aHook(OPEN);
    world.before = async (call) => {
      if (call.startsWith("swap")) await put(world, { state: "claimed", opening: 1, writes: 2, worker: "1-1-1-bb" });
    };

    expect(await complete(deps, 1, handler)).toBe(false);
    expect(handler.seen).toEqual([]);
  });

  it("is killed when its claim has moved, and records nothing", async () => {
    const { world, handler, deps } = await aHook(OPEN);
    const closed: CompletionRecord = { state: "closed", opening: 1, writes: 3, cause: "stopped" };

    const used = complete(deps, 1, handler);
    await turns();
    await put(world, closed);
    await world.clock.advance(20_000);

    expect(handler.kills).toEqual(["aborted"]);
    expect(await used).toBe(true);
    expect(await stored(world)).toEqual(closed);
  });

  it("opens again, with the next number, when its handler was gone before it began", async () => {
    const { world, handler, deps } = await aHook(OPEN);
    handler.die();

    expect(await complete(deps, 1, handler)).toBe(true);
    expect(await stored(world)).toEqual({ state: "open", opening: 2, writes: 3 });
  });
});

describe("a worker with a completion ticket", () => {
  const ticket = { kind: "completion", format: 1, job, epoch: 1, opening: 1 } as const;

  it("runs the hook and acks the ticket", async () => {
    const bench = await WorkerBench.running();
    await put(bench.world, OPEN);

    await bench.send(ticket);
    bench.handler.answer();
    await bench.settle();

    expect(await stored(bench.world)).toMatchObject({ state: "done", worker: name });
    expect(bench.world.callsOf("ack")).toEqual([`ack ${LANE}`]);
  });

  it("leaves the ticket to come again while its handler starts anew", async () => {
    const bench = await WorkerBench.running();
    await put(bench.world, OPEN);
    bench.delayStart = true;
    bench.handler.die();
    await bench.settle();

    await bench.send(ticket);
    await bench.advance(2000);

    expect(bench.error).toBeUndefined();
    expect(bench.exitCode).toBeUndefined();
    expect(bench.world.callsOf("ack")).toEqual([]);
    expect(await stored(bench.world)).toEqual(OPEN);
  });

  it("does not leave as long as the hook runs", async () => {
    const bench = await WorkerBench.running();
    await put(bench.world, OPEN);
    await bench.endSplit();
    await bench.send(ticket);

    await bench.setLane({ keep: { 1: 0 } });
    await bench.advance(30_000);
    expect(bench.exitCode).toBeUndefined();
    bench.handler.answer();
    await bench.advance(1000);

    expect(await stored(bench.world)).toMatchObject({ state: "done" });
    expect(bench.exitCode).toBe(0);
  });
});
