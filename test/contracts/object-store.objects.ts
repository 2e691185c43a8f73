import { expect, it } from "vitest";
import type { Stores } from "./opened-stores.ts";
import { valueOf } from "./object-store.model.ts";

export function keySentences(stores: Stores): void {
  it.each(["", "/a", "a/", "a//b", "a/../b", "./a", "..", "a b", "a@1", "ä", "a\\b", "a%2f", "a\0", "a".repeat(241)])(
    "refuses the key %j in every call",
    async (key) => {
      const { one } = stores();
      const calls = [
        () => one.put(key, Buffer.from("x")),
        () => one.get(key),
        () => one.size(key),
        () => one.read(key),
        () => one.swap(key, Buffer.from("x"), undefined),
        () => one.append(key, Buffer.from("x"), 0),
        () => one.sync([key]),
        () => one.delete(key),
      ];

      for (const call of calls) await expect(call()).rejects.toThrow(RangeError);
    },
  );

  it("takes keys of 512 characters and refuses longer ones", async () => {
    const { one } = stores();
    const key = `${"k".repeat(240)}/${"k".repeat(240)}/${"k".repeat(30)}`;

    expect(key.length).toBe(512);
    expect(await one.put(key, Buffer.from("x"))).toBe(true);
    expect((await one.list(key.slice(0, 300))).entries).toEqual([{ key, sizeBytes: 1 }]);
    await expect(one.put(`${key}k`, Buffer.from("x"))).rejects.toThrow("at most 512");
  });
}

export function folderSentences(stores: Stores): void {
  it("refuses a key that is another key's folder", async () => {
    const { one } = stores();
    await one.put("folders/a/b", Buffer.from("x"));

    await expect(one.put("folders/a", Buffer.from("x"))).rejects.toThrow();
    await expect(one.put("folders/a/b/c", Buffer.from("x"))).rejects.toThrow();
    expect(await one.get("folders/a")).toBeUndefined();
    expect(await one.get("folders/a/b/c")).toBeUndefined();
  });
}

export function objectSentences(stores: Stores): void {
  it("creates an object once, and changes nothing when it exists", async () => {
    const { one, other } = stores();

    expect(await one.put("objects/once", Buffer.from("first"))).toBe(true);
    expect(await one.put("objects/once", Buffer.from("second"))).toBe(false);
    expect(await other.put("objects/once", Buffer.from("third"))).toBe(false);
    expect(await valueOf(other, "objects/once")).toBe("first");
  });

  it("lets one of fifty concurrent creators win, and keeps the winner's bytes", async () => {
    const { one, other } = stores();

    for (let round = 0; round < 5; round++) {
      const key = `races/${String(round)}/object`;
      const won = await Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          (at % 2 === 0 ? one : other).put(key, Buffer.from(`writer ${String(at)}`)),
        ),
      );

      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await valueOf(one, key)).toBe(`writer ${String(won.indexOf(true))}`);
    }
  });

  it("keeps its own copy of the bytes", async () => {
    const { one } = stores();
    const bytes = Buffer.from("kept");
    await one.put("objects/copy", bytes);
    bytes.fill("x");
    (await one.get("objects/copy"))?.bytes.fill("y");

    expect(await valueOf(one, "objects/copy")).toBe("kept");
  });

  it("keeps empty objects, and large ones to the byte", async () => {
    const { one, other } = stores();
    const large = Buffer.alloc(3_000_001, "0123456789");

    await one.put("objects/empty", Buffer.alloc(0));
    await one.put("objects/large", large);

    expect(await other.get("objects/empty")).toEqual({ bytes: Buffer.alloc(0), sizeBytes: 0 });
    expect((await other.get("objects/large"))?.bytes.equals(large)).toBe(true);
  });
}

export function rangeSentences(stores: Stores): void {
  it.each([
    [{ start: 0, end: 3 }, "abc"],
    [{ start: 4, end: 6 }, "ef"],
    [{ start: 4, end: 99 }, "ef"],
    [{ start: 6, end: 9 }, ""],
    [{ start: 50, end: 60 }, ""],
    [{ start: 2, end: 2 }, ""],
  ])("reads the bytes of range %j that exist, and says how long the whole object is", async (range, bytes) => {
    const { one } = stores();
    await one.put("objects/ranged", Buffer.from("abcdef"));

    expect(await one.get("objects/ranged", range)).toEqual({ bytes: Buffer.from(bytes), sizeBytes: 6 });
    expect(await one.size("objects/ranged")).toBe(6);
  });

  it("has nothing where nothing was put, nor where only a folder is", async () => {
    const { one } = stores();
    await one.put("nothing/below/here", Buffer.from("x"));

    for (const key of ["nothing/there", "nothing/below", "nothing"]) {
      expect(await one.get(key)).toBeUndefined();
      expect(await one.size(key)).toBeUndefined();
      expect(await one.read(key)).toBeUndefined();
      await one.delete(key);
    }
    expect(await valueOf(one, "nothing/below/here")).toBe("x");
  });

  it("removes an object for everybody, and its name is free again", async () => {
    const { one, other } = stores();
    await one.put("objects/removed/a", Buffer.from("x"));
    await other.delete("objects/removed/a");

    expect(await one.get("objects/removed/a")).toBeUndefined();
    expect((await one.list("objects/removed")).entries).toEqual([]);
    expect(await one.put("objects/removed/a", Buffer.from("again"))).toBe(true);
  });

  it("tells the time in Unix milliseconds", async () => {
    const now = await stores().one.now();

    expect(Number.isInteger(now)).toBe(true);
    expect(now).toBeGreaterThan(Date.parse("2020-01-01"));
  });
}
