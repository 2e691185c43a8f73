import { describe, expect, it } from "vitest";
import { JobState } from "../../../services/batch-api/driver/job-state.ts";
import { Deposed } from "../../../services/batch-api/driver/lane-lease.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../../services/protocol/lanes.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

const API = "digits";
const JOB = "e00000000000000a";

async function putLane(world: WatchedWorld, lane: number, record: Partial<LaneRecord>): Promise<void> {
  await world.memory.swap(apiKeys(API).lane(lane), encodeStored({ ...EMPTY_LANE, job: JOB, ...record }), undefined);
}

function stateOf(world: WatchedWorld, lane: number, epoch: number, term: number): Promise<JobState> {
  return JobState.read(world.store, API, JOB, { lane, epoch, term });
}

describe("a driver's hand on its job's state", () => {
  it("names lane, epoch and term in every write, and counts the writes", async () => {
    const world = new WatchedWorld();
    const state = await stateOf(world, 2, 5, 7);

    await state.write(() => ({ state: "running" }));
    const record = await state.write(() => ({ sent_through: 64 }));

    expect(record).toMatchObject({
      state: "running",
      sent_through: 64,
      lane: { lane: 2, epoch: 5, term: 7 },
      writes: 2,
    });
    expect((await stateOf(world, 2, 5, 7)).record).toEqual(record);
  });

  it("makes its change anew from what another replica wrote in between", async () => {
    const world = new WatchedWorld();
    const ours = await stateOf(world, 0, 2, 4);
    const older = await stateOf(world, 0, 2, 3);
    await older.write(() => ({ state: "running", sent_through: 64 }));

    const record = await ours.write(({ sent_through }) => ({ message: `sent ${String(sent_through)}` }));

    expect(record).toMatchObject({ state: "running", sent_through: 64, message: "sent 64", lane: { term: 4 } });
  });

  it("writes nothing over a newer driver whose name stood there when it first looked", async () => {
    const world = new WatchedWorld();
    await (await stateOf(world, 0, 2, 4)).write(() => ({ state: "running" }));
    const older = await stateOf(world, 0, 2, 3);

    await expect(older.write(() => ({ sent_through: 0 }))).rejects.toThrow(Deposed);

    expect((await stateOf(world, 0, 2, 4)).record).toMatchObject({ lane: { term: 4 }, writes: 1 });
  });

  it("writes nothing when the newer record leaves nothing to do", async () => {
    const world = new WatchedWorld();
    const ours = await stateOf(world, 0, 2, 4);
    await (await stateOf(world, 0, 2, 3)).write(() => ({ state: "running" }));

    const record = await ours.write(({ state }) => (state === "running" ? undefined : { state: "running" }));

    expect(record.lane?.term).toBe(3);
    expect(world.callsOf("swap")).toHaveLength(2);
  });

  it("is not deposed by its own success whose answer was lost", async () => {
    const world = new WatchedWorld();
    let lost = 0;
    const swap = async (key: string, bytes: Buffer, expected: string | undefined) => {
      const version = await world.memory.swap(key, bytes, expected);
      return ++lost === 1 ? undefined : version;
    };
    const ours = await JobState.read({ ...world.store, swap }, API, JOB, { lane: 0, epoch: 1, term: 1 });

    await ours.write(() => ({ state: "running" }));

    expect((await stateOf(world, 0, 1, 1)).record).toMatchObject({ state: "running", lane: { lane: 0, term: 1 } });
    expect(ours.record).toEqual((await stateOf(world, 0, 1, 1)).record);
  });

  it("gives up when a newer driver of the same lane and epoch has written", async () => {
    const world = new WatchedWorld();
    const ours = await stateOf(world, 0, 2, 3);
    await (await stateOf(world, 0, 2, 4)).write(() => ({ state: "running" }));

    await expect(ours.write(() => ({ sent_through: 1 }))).rejects.toThrow(Deposed);
  });

  it("gives up when the job is final already", async () => {
    const world = new WatchedWorld();
    const ours = await stateOf(world, 0, 2, 4);
    const other = await stateOf(world, 0, 2, 3);
    await other.write(() => ({ state: "completing" }));
    await other.write(() => ({ state: "stopped" }));

    await expect(ours.write(() => ({ state: "running" }))).rejects.toThrow(Deposed);
    expect((await stateOf(world, 0, 2, 3)).record).toMatchObject({ state: "stopped", writes: 2 });
  });

  it("gives way to another lane that got the same job first, though epoch and term are alike", async () => {
    const world = new WatchedWorld();
    await putLane(world, 0, { epoch: 1, term: 1, owner: "a" });
    await putLane(world, 1, { epoch: 1, term: 1, owner: "b" });
    const second = await stateOf(world, 1, 1, 1);
    await (await stateOf(world, 0, 1, 1)).write(() => ({ state: "running" }));

    await expect(second.write(() => ({ state: "running" }))).rejects.toThrow(Deposed);
    expect((await stateOf(world, 0, 1, 1)).record.lane).toEqual({ lane: 0, epoch: 1, term: 1 });
  });

  it("takes the state over from a lane that names the job no more", async () => {
    const world = new WatchedWorld();
    await putLane(world, 0, { epoch: 2, term: 5, job: "another", owner: "a" });
    const ours = await stateOf(world, 1, 2, 5);
    await (await stateOf(world, 0, 1, 4)).write(() => ({ state: "running" }));

    const record = await ours.write(() => ({ message: "mine" }));

    expect(record).toMatchObject({ lane: { lane: 1, epoch: 2, term: 5 }, message: "mine" });
  });

  it("gives way to a later lane of the job, also when that one has left it since", async () => {
    const world = new WatchedWorld();
    await putLane(world, 1, { epoch: 2, term: 5, job: null, owner: "" });
    const older = await stateOf(world, 0, 1, 4);
    await older.write(() => ({ state: "running" }));
    await (await stateOf(world, 1, 2, 5)).write(() => ({ state: "pending" }));

    await expect(older.write(() => ({ sent_through: 1 }))).rejects.toThrow(Deposed);
    expect((await stateOf(world, 0, 1, 4)).record.lane).toEqual({ lane: 1, epoch: 2, term: 5 });
  });

  it("gives way to another lane of the same epoch that has left the job since", async () => {
    const world = new WatchedWorld();
    await putLane(world, 0, { epoch: 2, term: 3, job: null, owner: "" });
    await (await stateOf(world, 0, 2, 3)).write(() => ({ state: "pending" }));
    const ours = await stateOf(world, 1, 2, 9);

    expect(await ours.livesElsewhere()).toBe(true);
    await expect(ours.write(() => ({ state: "running" }))).rejects.toThrow(Deposed);
  });
});
