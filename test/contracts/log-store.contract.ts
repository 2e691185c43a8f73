import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LogLine, LogStore } from "../../services/backends/log-store.ts";

export interface OpenedLogStore {
  readonly store: LogStore;
  close(): Promise<void>;
}

function lineOf(worker: string, at: number, text = `${worker} at ${String(at)}`): LogLine {
  return { at, worker, from: "handler", batch: at, text };
}

/** One `it` for each sentence of the seam's docstrings; every implementation passes it. */
export function logStoreContract(name: string, open: () => Promise<OpenedLogStore>): void {
  describe(`${name} as a log store`, () => {
    let opened: OpenedLogStore;
    let store: LogStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => await opened.close());

    it("merges workers by time, and keeps each worker's own order where its clock went back", async () => {
      await store.append("j", "b", [lineOf("b", 2), lineOf("b", 9), lineOf("b", 4)]);
      await store.append("j", "a", [lineOf("a", 1), lineOf("a", 2), lineOf("a", 5)]);

      const { lines } = await store.read("j", {});

      expect(lines.map(({ worker, at }) => `${worker}${String(at)}`)).toEqual(["a1", "a2", "b2", "a5", "b9", "b4"]);
      expect(lines[0]).toEqual(lineOf("a", 1));
    });

    it("reads each line once, page after page, also those that came meanwhile", async () => {
      const read: string[] = [];
      let cursor: string | undefined;
      for (let round = 0; round < 30; round++) {
        if (round < 10) {
          await store.append("j", "a", [lineOf("a", round * 2), lineOf("a", round * 2 + 1)]);
          await store.append("j", "b", [lineOf("b", round)]);
        }
        const page = await store.read("j", cursor === undefined ? { linesMax: 2 } : { linesMax: 2, cursor });
        expect(page.lines.length).toBeLessThanOrEqual(2);
        read.push(...page.lines.map(({ text }) => text));
        cursor = page.cursor;
      }

      expect(read).toHaveLength(30);
      expect(new Set(read).size).toBe(30);
      expect((await store.read("j", { cursor: cursor ?? "" })).cursor).toBe(cursor);
    });

    it("reads the lines of one worker only", async () => {
      await store.append("j", "a", [lineOf("a", 1)]);
      await store.append("j", "b", [lineOf("b", 1)]);

      expect((await store.read("j", { worker: "b" })).lines).toEqual([lineOf("b", 1)]);
      expect((await store.read("j", { worker: "c" })).lines).toEqual([]);
    });

    it("keeps the order of appends that were not waited for, and long lines whole", async () => {
      const long = 'ü\n"'.repeat(60_000);
      await Promise.all(
        Array.from({ length: 50 }, (_, at) => store.append("j", "a", [lineOf("a", 50 - at, at === 20 ? long : "x")])),
      );

      const { lines } = await store.read("j", {});

      expect(lines.map(({ at }) => at)).toEqual(Array.from({ length: 50 }, (_, at) => 50 - at));
      expect(lines[20]?.text === long).toBe(true);
    });

    it("has nothing of a job without lines, nor of a removed one", async () => {
      await store.append("j", "a", [lineOf("a", 1)]);
      await store.append("k", "a", [lineOf("a", 2)]);
      await store.remove("j");
      await store.remove("none");

      expect((await store.read("j", {})).lines).toEqual([]);
      expect((await store.read("none", {})).lines).toEqual([]);
      expect((await store.read("k", {})).lines).toHaveLength(1);
    });

    it("refuses a cursor that it did not give", async () => {
      await expect(store.read("j", { cursor: "%%" })).rejects.toThrow("cursor is not one of this log");
    });
  });
}
