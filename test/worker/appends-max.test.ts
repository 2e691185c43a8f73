import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { LedgerWriter } from "../../services/worker/ledger-writer.ts";
import { PartWriter } from "../../services/worker/part-writer.ts";
import { anIdentity } from "../support/a-worker.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const { api, job, name } = anIdentity();
const KEYS = jobKeys(api, job);

function aStoreOfThreeAppends(): MemoryStore & { readonly appendsMax: number } {
  return Object.assign(new MemoryStore({ clock: new VirtualClock() }), { appendsMax: 3 });
}

describe("writers to a store that limits the appends to a log", () => {
  it("seal a part of results after so many, and begin the next", async () => {
    const store = aStoreOfThreeAppends();
    const writer = new PartWriter(store, "results", (part) => KEYS.results(name, part));
    const sealed = [];

    for (let row = 0; row < 7; row++) {
      writer.add(Buffer.from("x\n"), 1);
      sealed.push(await writer.flush());
      sealed.push(await writer.flush()); // nothing new: no append
    }

    expect(sealed.flatMap((line) => line ?? [])).toMatchObject([
      { part: 0, bytes: 6, rows: 3 },
      { part: 1, bytes: 6, rows: 3 },
    ]);
    expect(await store.size(KEYS.results(name, 2))).toBe(2);
  });

  it("begin another ledger after so many, each with its worker's line", async () => {
    const store = aStoreOfThreeAppends();
    const writer = new LedgerWriter(store, api, job, name);

    for (let lines = 0; lines < 4; lines++) {
      writer.add({ t: "ready", hook: true });
      await writer.append(writer.take());
    }

    const ledger = async (part: number) => (await store.get(KEYS.ledger(name, part)))?.bytes.toString() ?? "";
    expect((await ledger(0)).trimEnd().split("\n")).toHaveLength(4);
    expect((await ledger(1)).trimEnd().split("\n")).toEqual([
      expect.stringContaining('"worker"'),
      expect.stringContaining('"ready"'),
    ]);
  });
});
