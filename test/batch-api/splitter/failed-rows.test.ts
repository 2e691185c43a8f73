import { describe, expect, it } from "vitest";
import { FailedRows } from "../../../services/batch-api/splitter/failed-rows.ts";
import type { ErrorRow } from "../../../services/protocol/jobs.ts";
import { DamagedObject } from "../../../services/protocol/stored.ts";
import { emptyStore, keys } from "../../support/splitting.ts";

const KEY = keys.part("errors-00000000.ndjson");
const ROW: ErrorRow = {
  ...{ index: 3, batch: 1, attempts: 2, cause: "raised", error: "boom", traceback: "", at: { uri: "s3://d/x", start: 0, end: 2 } },
}; // prettier-ignore

async function rowsOf(...lines: readonly string[]): Promise<FailedRows> {
  return rowsIn(Buffer.from(lines.map((line) => `${line}\n`).join("")), lines.length);
}

async function rowsIn(bytes: Buffer, rows: number): Promise<FailedRows> {
  const store = emptyStore();
  await store.put(KEY, bytes);
  return new FailedRows(store, [{ key: KEY, bytes: bytes.length, rows, sha256: "" }], {
    part: 0,
    byte: 0,
  });
}

describe("the failed rows of an ended job", () => {
  it("are read one by one", async () => {
    const rows = await rowsOf(JSON.stringify(ROW), JSON.stringify({ ...ROW, index: 4 }));

    expect(await rows.peek()).toMatchObject({ index: 3, batch: 1, at: ROW.at });
    rows.pass();
    expect(await rows.peek()).toMatchObject({ index: 4 });
    rows.pass();
    expect(await rows.peek()).toBeUndefined();
  });

  it.each([
    ["no JSON", '{"secret":'],
    ["no row", '{"secret":1}'],
    ["a row of nowhere", JSON.stringify({ ...ROW, at: null, secret: 1 })],
    ["a row of no batch", JSON.stringify({ ...ROW, batch: "secret" })],
  ])("name their object where a line is %s, and quote nothing of it", async (_, line) => {
    const peek = (await rowsOf(line)).peek();

    await expect(peek).rejects.toBeInstanceOf(DamagedObject);
    await expect(peek).rejects.toThrow(new RegExp(`^${KEY} (is|holds) (?!.*secret)`));
  });

  it.each([
    ["lost its line ends", Buffer.from(JSON.stringify(ROW).repeat(2)), "ends inside a row"],
    ["lost a row", Buffer.from(`${JSON.stringify(ROW)}\n${" ".repeat(9)}`), "ends inside a row"],
    ["has one row too few", Buffer.from(`${JSON.stringify(ROW)}\n`), "holds 1 rows, not 2"],
  ])("name their object where it %s: a retry would leave those items out", async (_, bytes, sentence) => {
    const rows = await rowsIn(bytes, 2);
    const all = async () => {
      while ((await rows.peek()) !== undefined) rows.pass();
    };

    await expect(all()).rejects.toThrow(`${KEY} ${sentence}`);
  });
});
