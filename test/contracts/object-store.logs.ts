import { expect, it } from "vitest";
import { AppendConflict } from "../../services/backends/object-store.ts";
import type { Stores } from "./opened-stores.ts";
import { valueOf } from "./object-store.model.ts";

export function logSentences(stores: Stores): void {
  it("appends at the end, and shows what was acknowledged to all", async () => {
    const { one, other } = stores();
    await one.append("logs/a", Buffer.from("one\n"), 0);
    expect(await valueOf(other, "logs/a")).toBe("one\n");
    await one.append("logs/a", Buffer.from("two\n"), 4);

    expect(await other.size("logs/a")).toBe(8);
    expect(await other.get("logs/a", { start: 4, end: 100 })).toEqual({ bytes: Buffer.from("two\n"), sizeBytes: 8 });
  });

  it("refuses an append at another length than the log has, and changes nothing", async () => {
    const { one, other } = stores();
    await one.append("logs/conflict", Buffer.from("abc"), 0);

    await expect(other.append("logs/conflict", Buffer.from("x"), 0)).rejects.toThrow(AppendConflict);
    await expect(other.append("logs/conflict", Buffer.from("x"), 2)).rejects.toThrow(AppendConflict);
    await expect(other.append("logs/conflict", Buffer.from("x"), 4)).rejects.toThrow(AppendConflict);
    await expect(other.append("logs/missing", Buffer.from("x"), 4)).rejects.toThrow(AppendConflict);
    expect(await valueOf(one, "logs/conflict")).toBe("abc");
    expect(await one.get("logs/missing")).toBeUndefined();
    await one.append("logs/conflict", Buffer.from("d"), 3);
    expect(await valueOf(other, "logs/conflict")).toBe("abcd");
  });

  it("tells a writer that another one has written to its log", async () => {
    const { one, other } = stores();
    await one.append("logs/two-writers", Buffer.from("mine"), 0);
    await other.append("logs/two-writers", Buffer.from("theirs"), 4);

    await expect(one.append("logs/two-writers", Buffer.from("mine"), 4)).rejects.toThrow(AppendConflict);
    expect(await valueOf(one, "logs/two-writers")).toBe("minetheirs");
  });
}

export function growingLogSentences(stores: Stores): void {
  it("reads a prefix that holds all that was acknowledged while the log grows", async () => {
    const { one, other } = stores();
    const sent = Buffer.from(Array.from({ length: 2_000 }, (_, at) => `line ${String(at)}\n`).join(""));
    let acknowledged = 0;
    let isDone = false;
    async function write(): Promise<void> {
      try {
        for (let at = 0; at < sent.length; at += 97) {
          const part = sent.subarray(at, at + 97);
          await one.append("logs/growing", part, at);
          acknowledged = at + part.length;
        }
      } finally {
        isDone = true;
      }
    }
    async function watch(): Promise<number> {
      let reads = 0;
      for (; !isDone; reads++) {
        const least = acknowledged;
        const bytes = (await other.get("logs/growing"))?.bytes ?? Buffer.alloc(0);
        expect(bytes.length).toBeGreaterThanOrEqual(least);
        expect(bytes.equals(sent.subarray(0, bytes.length))).toBe(true);
      }
      return reads;
    }

    const [, reads] = await Promise.all([write(), watch()]);

    expect(reads).toBeGreaterThan(10);
    expect((await other.get("logs/growing"))?.bytes.equals(sent)).toBe(true);
  });

  it("appends to many logs at once", async () => {
    const { one, other } = stores();
    const keys = Array.from({ length: 300 }, (_, at) => `logs/many/${String(at)}`);
    await Promise.all(keys.map((key) => one.append(key, Buffer.from(`${key} begins`), 0)));
    await Promise.all(keys.map((key) => one.append(key, Buffer.from(", ends"), `${key} begins`.length)));

    for (const key of keys) expect(await valueOf(other, key)).toBe(`${key} begins, ends`);
  });

  it("syncs logs of others and passes over those that do not exist", async () => {
    const { one, other } = stores();
    await one.append("logs/synced", Buffer.from("x"), 0);

    await other.sync(["logs/synced", "logs/nowhere", "nowhere/at/all"]);

    expect(await valueOf(other, "logs/synced")).toBe("x");
  });

  it("removes a log", async () => {
    const { one, other } = stores();
    await one.append("logs/removed", Buffer.from("x"), 0);
    await one.delete("logs/removed");

    expect(await other.size("logs/removed")).toBeUndefined();
    await expect(one.append("logs/removed", Buffer.from("y"), 1)).rejects.toThrow(AppendConflict);
  });
}
