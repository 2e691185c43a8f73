import { describe, expect, it } from "vitest";
import { openFileStore, type FileStore } from "../../services/backends/object-store.files.ts";
import { StoreBroken } from "../../services/backends/object-store.ts";
import { PowerDisk, type DiskCall, type DiskFault } from "../support/power-disk.ts";

/** What was answered, and so must be there whatever happens to the power. */
interface Acknowledged {
  readonly objects: Map<string, string>;
  readonly logs: Map<string, string>;
  readonly records: Map<string, string[]>;
  readonly deleted: Set<string>;
}

/** What a small job does to a store: folders that come to be, objects, growing logs, a record that changes, a marker that goes. */
async function work(store: FileStore, acknowledged: Acknowledged): Promise<void> {
  const { objects, logs, records, deleted } = acknowledged;
  const put = async (key: string, text: string) => {
    await store.put(key, Buffer.from(text));
    objects.set(key, text);
  };
  const append = async (key: string, text: string) => {
    await store.append(key, Buffer.from(text), (logs.get(key) ?? "").length);
    logs.set(key, (logs.get(key) ?? "") + text);
  };
  let version: string | undefined;
  const swap = async (text: string) => {
    const values = records.get("jobs/a/state.json") ?? [];
    records.set("jobs/a/state.json", [...values, `?${text}`]);
    version = await store.swap("jobs/a/state.json", Buffer.from(text), version);
    records.set("jobs/a/state.json", [...values, text]);
  };
  await put("jobs/a/spec.json", "spec");
  await put("active/a", "x");
  await swap("pending");
  await put("jobs/a/splits/0", "pointers");
  await append("jobs/a/ledger/w-0", "line 1\n");
  await swap("running");
  await append("jobs/a/results/w-0", "row 1\n");
  await append("jobs/a/ledger/w-0", "line 2\n");
  await append("jobs/a/ledger/w-1", "line 3\n");
  for (const state of ["completing", "ending", "succeeded"]) await swap(state);
  await put("jobs/a/cut.json", "cut");
  await store.delete("active/a");
  deleted.add("active/a");
}

async function untilPowerLoss(callsMax: number): Promise<{ disk: PowerDisk; acknowledged: Acknowledged }> {
  const disk = new PowerDisk(callsMax);
  const acknowledged: Acknowledged = {
    objects: new Map(),
    logs: new Map(),
    records: new Map(),
    deleted: new Set(),
  };
  try {
    await work(await openFileStore({ root: "/store", files: disk }), acknowledged);
  } catch (error) {
    if (disk.calls < callsMax) throw error; // a fault of the store, not the power
  }
  return { disk, acknowledged };
}

async function expectAll(disk: PowerDisk, { objects, logs, records, deleted }: Acknowledged): Promise<void> {
  const store = await openFileStore({ root: "/store", files: disk });
  for (const [key, text] of objects) {
    const found = await store.get(key);
    if (found !== undefined || !(deleted.has(key) || key === "active/a")) {
      expect(`${key} ${String(found?.bytes)}`).toBe(`${key} ${text}`);
    }
  }
  for (const [key, text] of logs) {
    expect(`${key} ${String((await store.get(key))?.bytes.subarray(0, text.length))}`).toBe(`${key} ${text}`);
  }
  for (const [key, values] of records) {
    const newest = values.findLastIndex((value) => !value.startsWith("?"));
    const possible = values.slice(Math.max(0, newest)).map((value) => value.replace("?", ""));
    const found = await store.read(key);
    if (newest >= 0 || found !== undefined) expect(possible).toContain(String(found?.bytes));
    // The record can be written on: the power loss has left no version that stands in the way.
    expect(await store.swap(key, Buffer.from("after"), found?.version)).toBeDefined();
    expect(String((await store.read(key))?.bytes)).toBe("after");
  }
}

describe("a store on a disk that loses its power", () => {
  it("has everything that it acknowledged, at whatever call the power goes, when nothing un-synced survives", async () => {
    const { disk: whole } = await untilPowerLoss(Infinity);
    expect(whole.calls).toBeGreaterThan(100);

    for (let calls = 0; calls <= whole.calls; calls += 1) {
      const { disk, acknowledged } = await untilPowerLoss(calls);
      await expectAll(disk.afterPowerLoss(() => false, () => 0), acknowledged); // prettier-ignore
    }
  });

  it("has everything that it acknowledged when un-synced names and torn bytes survive by chance", async () => {
    const { disk: whole } = await untilPowerLoss(Infinity);

    for (let calls = 0; calls <= whole.calls; calls += 1) {
      const { disk, acknowledged } = await untilPowerLoss(calls);
      for (let seed = 0; seed < 4; seed += 1) {
        let turn = calls * 7 + seed;
        const next = () => (turn = (turn * 48271 + 11) % 2147483647);
        const after = disk.afterPowerLoss(() => next() % 2 === 0, (bytes) => next() % (bytes + 1)); // prettier-ignore
        await expectAll(after, acknowledged);
      }
    }
  });
});

const CHANGES: readonly DiskCall[] = ["write", "fdatasync", "syncFolder", "link", "mkdir"];
const SYNCS: readonly DiskCall[] = ["fdatasync", "syncFolder"];

/** Does the small job's calls until one of them meets the fault at that call of the disk. */
async function untilFault(at: number, code: DiskFault) {
  const disk = new PowerDisk();
  const acknowledged: Acknowledged = { objects: new Map(), logs: new Map(), records: new Map(), deleted: new Set() };
  let number = -1;
  let failed: DiskCall | undefined;
  /** Syncs that came after the fault. */
  let retries = 0;
  disk.onCall = (call) => {
    if (failed !== undefined && SYNCS.includes(call)) retries += 1;
    if ((number += 1) !== at || !CHANGES.includes(call)) return undefined;
    failed = call;
    return code;
  };
  let store: FileStore | undefined;
  const error = await (async () => {
    store = await openFileStore({ root: "/store", files: disk });
    await work(store, acknowledged);
    return undefined;
  })().catch((thrown: unknown) => thrown);
  return { disk, acknowledged, store, error, failedCall: () => failed, retries: () => retries };
}

describe.each<DiskFault>(["ENOSPC", "EIO"])("a store on a disk that fails once with %s", (code) => {
  it("says so, keeps what it acknowledged, and calls nothing durable any more once a sync has failed", async () => {
    const { disk: whole } = await untilFault(-1, code);
    const met = new Map<DiskCall, number>();

    for (let at = 0; at < whole.calls; at += 1) {
      const { disk, acknowledged, store, error, failedCall, retries } = await untilFault(at, code);
      const call = failedCall();
      if (call === undefined) continue;
      met.set(call, (met.get(call) ?? 0) + 1);
      expect(error, `${call}, call ${String(at)}`).toBeInstanceOf(StoreBroken);
      if (SYNCS.includes(call) && store !== undefined) {
        const puts = [store.put("jobs/a/later", Buffer.from("x")), store.swap("jobs/a/later.json", Buffer.from("x"), undefined)]; // prettier-ignore
        const later = [...puts, store.append("jobs/a/ledger/later", Buffer.from("x"), 0)];
        for (const end of await Promise.allSettled(later))
          expect(end).toMatchObject({ reason: { name: "StoreBroken" } });
      }
      // whatever follows in the store's own cleaning up, no sync is tried again: it could lie
      if (SYNCS.includes(call)) expect(retries(), `${call}, call ${String(at)}`).toBe(0);
      await expectAll(disk.afterPowerLoss(() => false, () => 0), acknowledged); // prettier-ignore
    }

    expect([...met.keys()].sort()).toEqual([...CHANGES].sort());
    process.stdout.write(`${code} once in a store: ${JSON.stringify(Object.fromEntries(met))}\n`);
  });
});
