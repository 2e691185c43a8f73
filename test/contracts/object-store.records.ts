import { expect, it } from "vitest";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import type { Stores } from "./opened-stores.ts";

export function recordSentences(stores: Stores): void {
  it("makes a record only where there is none, and swaps only against the version that it has", async () => {
    const { one, other } = stores();
    const first = await one.swap("records/a.json", Buffer.from("1"), undefined);

    expect(await other.swap("records/a.json", Buffer.from("x"), undefined)).toBeUndefined();
    const second = await other.swap("records/a.json", Buffer.from("2"), first);
    expect(second).toBeDefined();
    expect(await one.swap("records/a.json", Buffer.from("x"), first)).toBeUndefined();
    expect(await one.read("records/a.json")).toEqual({ bytes: Buffer.from("2"), version: second });
    expect(await one.swap("records/b.json", Buffer.from("x"), "1")).toBeUndefined();
    expect(await one.read("records/b.json")).toBeUndefined();
  });

  it("refuses an empty record", async () => {
    await expect(stores().one.swap("records/empty", Buffer.alloc(0), undefined)).rejects.toThrow("at least one byte");
  });

  it("keeps a record apart from objects", async () => {
    const { one } = stores();
    await one.swap("records/apart.json", Buffer.from("r"), undefined);
    await one.put("records/apart-object", Buffer.from("o"));

    expect(await one.get("records/apart.json")).toBeUndefined();
    expect(await one.size("records/apart.json")).toBeUndefined();
    expect(await one.read("records/apart-object")).toBeUndefined();
  });
}

export function recordRaceSentences(stores: Stores): void {
  it("lets each of many concurrent increments count once", async () => {
    const { one, other } = stores();
    const key = "records/counter";
    const versions: string[] = [];
    async function increment(store: ObjectStore): Promise<void> {
      for (;;) {
        const before = await store.read(key);
        const count = Number(before?.bytes.toString() ?? "0");
        const version = await store.swap(key, Buffer.from(String(count + 1)), before?.version);
        if (version !== undefined) return void versions.push(version);
      }
    }

    await Promise.all(Array.from({ length: 24 }, (_, at) => increment(at % 2 === 0 ? one : other)));

    expect((await one.read(key))?.bytes.toString()).toBe("24");
    expect(new Set(versions).size).toBe(24);
  });

  it("lets one of fifty concurrent swaps against one version win", async () => {
    const { one, other } = stores();
    const version = await one.swap("records/race", Buffer.from("start"), undefined);

    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        (at % 2 === 0 ? one : other).swap("records/race", Buffer.from(String(at)), version),
      ),
    );

    const winners = answers.filter((answer) => answer !== undefined);
    expect(winners).toHaveLength(1);
    expect(await other.read("records/race")).toEqual({
      bytes: Buffer.from(String(answers.findIndex((answer) => answer !== undefined))),
      version: winners[0],
    });
  });

  it("never uses a version again, not even after the record was deleted", async () => {
    const { one, other } = stores();
    const seen = new Set<string>();
    for (let life = 0; life < 4; life++) {
      let version: string | undefined;
      for (let swaps = 0; swaps <= life; swaps++) {
        version = await one.swap("records/lives", Buffer.from(`write ${String(seen.size)}`), version);
        expect(version).toBeDefined();
        expect(seen).not.toContain(version);
        seen.add(version ?? "");
      }
      await other.delete("records/lives");
      expect(await one.read("records/lives")).toBeUndefined();
      expect(await one.swap("records/lives", Buffer.from("late"), version)).toBeUndefined();
    }
    expect(seen.size).toBe(10);
  });

  it("shows a record to all as it is now, however often others swapped it since the last look", async () => {
    const { one, other } = stores();
    let version: string | undefined;
    for (let swaps = 1; swaps <= 30; swaps++) {
      version = await one.swap("records/watched", Buffer.from(`value ${String(swaps)}`), version);
      if (swaps % 7 === 1) {
        expect(await other.read("records/watched")).toEqual({ bytes: Buffer.from(`value ${String(swaps)}`), version });
      }
    }
  });
}
