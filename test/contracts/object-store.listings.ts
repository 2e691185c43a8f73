import { expect, it } from "vitest";
import type { Stores } from "./opened-stores.ts";
import { foldersOf, foldersUnder, keysUnder } from "./object-store.model.ts";

export function listingSentences(stores: Stores): void {
  it("lists in byte order over the whole key, page by page, each key once", async () => {
    const { one, other } = stores();
    const keys = ["a", "a-b", "a.b", "a0", "a_", "aa/b", "A", "b/a/c", "b/a-c", "b/a.c", "b-a", "b/a0", "c/d/e/f", "z"];
    const all = keys.map((key) => `listed/${key}`).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const key of keys) await one.put(`listed/${key}`, Buffer.from(key));

    for (const limit of [1, 2, 5, all.length - 1, all.length, 1_000]) {
      expect(await keysUnder(other, "listed/", limit)).toEqual(all);
    }
    expect((await other.list("listed/", { limit: all.length })).next).toBeUndefined();
    for (const prefix of ["listed/b", "listed/b/a", "listed/b/a/", "listed/a", "listed/b/a.", "listed/q", "liste"]) {
      expect(await keysUnder(other, prefix, 3)).toEqual(all.filter((key) => key.startsWith(prefix)));
    }
    for (const after of ["listed/a.a", "listed/b/", "listed/b/a/zz", "listed/b.", "a", "listed0", ...all]) {
      const { entries } = await other.list("listed/", { after });
      expect(entries.map(({ key }) => key)).toEqual(all.filter((key) => key > after));
    }
  });

  it("lists records under their own key once, with the size of their value, in order with the rest", async () => {
    const { one, other } = stores();
    let version: string | undefined;
    for (let swaps = 1; swaps <= 12; swaps++) {
      version = await one.swap("mixed/b.json", Buffer.from("v".repeat(swaps)), version);
    }
    await one.put("mixed/a", Buffer.from("aa"));
    await one.append("mixed/c", Buffer.from("ccc"), 0);
    const gone = await one.swap("mixed/b-gone", Buffer.from("x"), undefined);
    await one.swap("mixed/b-gone", Buffer.from("y"), gone);
    await one.delete("mixed/b-gone");

    expect((await other.list("mixed/")).entries).toEqual([
      { key: "mixed/a", sizeBytes: 2 },
      { key: "mixed/b.json", sizeBytes: 12 },
      { key: "mixed/c", sizeBytes: 3 },
    ]);
    expect(await keysUnder(other, "mixed/", 1)).toEqual(["mixed/a", "mixed/b.json", "mixed/c"]);
  });

  it("gives at most a thousand keys a page", async () => {
    const { one } = stores();
    await Promise.all(
      Array.from({ length: 1_001 }, (_, at) => one.append(`thousand/${String(at)}`, Buffer.from("x"), 0)),
    );

    const page = await one.list("thousand/", { limit: 5_000 });

    expect(page.entries).toHaveLength(1_000);
    expect((await one.list("thousand/", { after: page.next ?? "" })).entries).toHaveLength(1);
  });

  it.each(["a/../b", "a//", "../a", "/", "a b", "a@"])("refuses the prefix %j", async (prefix) => {
    await expect(stores().one.list(prefix)).rejects.toThrow(RangeError);
  });

  it("names the folders right under one in byte order, page by page, each once, whatever they hold", async () => {
    const { one, other } = stores();
    const below = ["a", "b/1", "b/2/3", "b-a/1", "b.a/x/y", "b0", "b1/x", "c/1", "c/2", "c/3", "c/4", "d-", "z/z/z/z"];
    const all = below.map((key) => `named/${key}`).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const key of all) await one.put(key, Buffer.from("x"));
    const names = ["b-a", "b.a", "b", "b1", "c", "z"];

    for (const limit of [1, 2, names.length - 1, names.length, 1_000]) {
      expect(await foldersUnder(other, "named/", limit)).toEqual(names);
    }
    expect((await other.folders("named/", { limit: names.length })).next).toBeUndefined();
    for (const after of ["a", "b.", "b.a", "b", "b0", "b1", "c", "y", "z", "zz"]) {
      const later = foldersOf(all, "named/").filter((name) => `${name}/` > `${after}/`);
      expect((await other.folders("named/", { after })).names).toEqual(later);
    }
    expect((await other.folders("named/b/")).names).toEqual(["2"]);
    expect(await other.folders("named/nowhere/")).toEqual({ names: [] });
    expect((await other.folders("")).names).toContain("named");
  });

  it("names no folder whose last key is gone, and one of whose keys one is left", async () => {
    const { one, other } = stores();
    for (const name of ["object", "record", "log", "deep", "left"]) {
      const version = await one.swap(`gone/${name}/r.json`, Buffer.from("1"), undefined);
      await one.swap(`gone/${name}/r.json`, Buffer.from("2"), version);
      await one.append(`gone/${name}/x/y/log`, Buffer.from("x"), 0);
      await one.delete(`gone/${name}/r.json`);
      if (name !== "left") await one.delete(`gone/${name}/x/y/log`);
    }

    expect((await other.folders("gone/")).names).toEqual(["left"]);
    await one.delete("gone/left/x/y/log");
    expect(await other.folders("gone/")).toEqual({ names: [] });
  });

  it.each(["a", "a/b", "/", "a//", "../"])("refuses the folder %j", async (folder) => {
    await expect(stores().one.folders(folder)).rejects.toThrow(RangeError);
  });
}
