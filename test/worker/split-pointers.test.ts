import { describe, expect, it } from "vitest";
import { jobKeys } from "../../services/protocol/keys.ts";
import { SPLIT_FORMAT, type SplitFile } from "../../services/protocol/pointers.ts";
import { WorkerBench } from "../support/a-whole-worker.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";

const { api, job } = anIdentity();
const KEYS = jobKeys(api, job);

/** Batches 0 to 63 stand in file 0; batch 64 has the items 4 and 6, which do not touch. */
const FILE: SplitFile = {
  format: SPLIT_FORMAT,
  split: 1,
  first_batch: 64,
  first_item: 64,
  sources: [{ uri: "store:items", etag: "", format: "lines" }],
  batches: [
    [0, 8, 10, 1, 0, 12, 14, 1],
    [0, 14, 16, 1],
  ],
  cursor: null,
};

const bare = (batch: number, items: number) => aOneItemMessage(batch, { pointer: { items, spans: [] } });

async function aWorkerWithSplits(): Promise<WorkerBench> {
  const bench = await WorkerBench.running({}, { processes: 2 });
  await bench.world.memory.put(KEYS.split(1), Buffer.from(JSON.stringify(FILE)));
  return bench;
}

describe("a batch whose spans are too long for its message", () => {
  it("runs on the items that its split file names, which is read once for all of its batches", async () => {
    const bench = await aWorkerWithSplits();

    await bench.send(bare(64, 2), bare(65, 1));
    await bench.settle();

    const seen = bench.handlers.flatMap((handler) => handler.seen);
    expect(seen.map(({ items }) => items.replaceAll(/\s/g, ""))).toEqual(expect.arrayContaining(["[4,6]", "[7]"]));
    expect(bench.world.callsOf("get").filter((call) => call.endsWith(KEYS.split(1)))).toHaveLength(1);
  });

  it("ends a worker that cannot read the split file, and the batch is nobody's loss", async () => {
    const bench = await aWorkerWithSplits();

    await bench.send(bare(0, 1));
    await bench.advance(1000);

    expect(bench.error).toMatchObject({ message: expect.stringContaining(KEYS.split(0)) as string });
    expect(await bench.lines("outcome")).toEqual([]);
  });

  it("is not run when message and split file differ", async () => {
    const bench = await aWorkerWithSplits();

    await bench.send(bare(64, 3));
    await bench.advance(1000);

    expect(bench.error).toMatchObject({ message: expect.stringContaining("2 items in batch 64") as string });
  });
});
