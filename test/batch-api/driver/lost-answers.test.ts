import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { JobState } from "../../../services/batch-api/driver/job-state.ts";
import { LaneLease, readLane, swapLane } from "../../../services/batch-api/driver/lane-lease.ts";
import { EMPTY_LANE } from "../../../services/protocol/lanes.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const API = "digits";
const JOB = "e00000000000000a";
const OWNER = { lane: 0, epoch: 1, term: 1 };

/** Does what the next swap asks, and fails all the same. */
function aStoreThatLosesAnAnswer(): { readonly store: ObjectStore; readonly lose: () => void } {
  const store = new MemoryStore({ clock: new VirtualClock() });
  let lost = false;
  const swap = store.swap.bind(store);
  store.swap = async (key, bytes, expected) => {
    const version = await swap(key, bytes, expected);
    if (!lost) return version;
    lost = false;
    throw new Error("no answer");
  };
  return { store, lose: () => (lost = true) };
}

describe("a write after one whose answer was lost", () => {
  it("reaches the lane record, and is not taken for the lost one", async () => {
    const { store, lose } = aStoreThatLosesAnAnswer();
    const held = await swapLane(store, API, 0, { ...EMPTY_LANE, ...OWNER, job: JOB, owner: "me" }, undefined);
    if (held === undefined) throw new Error("the lane was free");
    const lease = new LaneLease(store, API, held);

    lose();
    await expect(lease.update({ beat: 1 })).rejects.toThrow("no answer");
    await lease.update({ stop: true });

    expect((await readLane(store, API, 0))?.record).toMatchObject({ beat: 1, stop: true });
  });

  it("reaches the state, and is not taken for the lost one", async () => {
    const { store, lose } = aStoreThatLosesAnAnswer();
    const state = await JobState.read(store, API, JOB, OWNER);
    await state.write(() => ({ state: "running" }));

    lose();
    await expect(state.write(() => ({ sent_through: 64 }))).rejects.toThrow("no answer");
    await state.write(() => ({ state: "completing", cause: { kind: "settled" } }));

    const { record } = await JobState.read(store, API, JOB, OWNER);
    expect(record).toMatchObject({ sent_through: 64, state: "completing" });
  });
});
