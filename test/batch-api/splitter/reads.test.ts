import { describe, expect, it } from "vitest";
import type { Dataset } from "../../../services/backends/dataset.ts";
import { Splitter } from "../../../services/batch-api/splitter/splitter.ts";
import { aListedInput, emptyStore } from "../../support/splitting.ts";

const LINE = Buffer.from("1\n");
const CHUNK_BYTES = 32;

/** One object of many chunks, the first of which comes only when the test lets it: how many are asked for until then. */
async function readsUnderWay(uri: string): Promise<number> {
  let first: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (first = resolve));
  let reads = 0;
  const dataset: Dataset = {
    async *list() {
      yield await Promise.resolve([{ uri, sizeBytes: 100 * CHUNK_BYTES, etag: "e" }]);
    },
    async read(_uri, { start, end }) {
      reads += 1;
      if (start === 0) await held;
      return Buffer.alloc(end - start, LINE);
    },
  };
  const spec = { api: "api", job: "0123456789abcdef", input: aListedInput(1, [uri]) };
  const splitter = new Splitter({ spec, store: emptyStore(), dataset, chunkBytes: CHUNK_BYTES });
  while ((await Promise.race([splitter.step().then(({ kind }) => kind), settled()])) !== "waits");
  const underWay = reads;
  first();
  await splitter.endEarly();
  return underWay;
}

/** Everything that can go on without the first chunk has done so. */
async function settled(): Promise<"waits"> {
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  return "waits";
}

describe("a splitter's reads", () => {
  it("are eight at a time from S3, as no single connection fills the line", async () => {
    expect(await readsUnderWay("s3://data/a.jsonl")).toBe(8);
  });

  it("are three at a time from a disk", async () => {
    expect(await readsUnderWay("file:///data/a.jsonl")).toBe(3);
  });
});
