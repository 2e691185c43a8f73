import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import type { Span } from "../../services/protocol/pointers.ts";
import { anIdentity, aOneItemMessage } from "../support/a-worker.ts";
import { aBench, failedItems, Handlers, KEYS, rows, take } from "../support/bad-items.ts";
import { aJobSpec } from "../support/builders.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";

let dataset: MemoryDataset;
let spans: Span[];

/** Items 0 to 2 of one file, 3 and 4 of another, 5 to 7 of a third. */
beforeEach(() => {
  dataset = new MemoryDataset();
  spans = [3, 2, 3].map((items, file) => {
    const [uri, bytes] = [`s3://data/${String(file)}`, Buffer.from("7\n".repeat(items))];
    dataset.objects.set(uri, bytes);
    const etag = createHash("md5").update(bytes).digest("hex");
    return { uri, etag, format: "lines" as const, start: 0, end: bytes.length, items };
  });
});

async function ran(handlers: Handlers, spec: Parameters<typeof aJobSpec>[0] = {}, over = {}) {
  const bench = await aBench(handlers, { dataset, spec: aJobSpec({ attempts: 1, ...spec }) });
  await take(bench, aOneItemMessage(0, { pointer: { items: 8, spans }, ...over }));
  expect(bench.broken).toEqual([]);
  return bench;
}

describe("a batch of several sources, on its last attempt", () => {
  it.each([
    ["is gone", () => dataset.objects.delete("s3://data/1"), "input_missing"],
    ["has changed", () => dataset.objects.set("s3://data/1", Buffer.from("8\n8\n")), "input_changed"],
  ])("fails the items of the one that %s, each by its place, and runs the others", async (_, spoil, cause) => {
    spoil();
    const handlers = Handlers.bad({});
    const bench = await ran(handlers);

    expect(await bench.outcomes()).toMatchObject([{ result: "some", items: 8, failed: 2 }]);
    expect(await failedItems(bench)).toEqual([[3, cause], [4, cause]]); // prettier-ignore
    expect(await rows(bench)).toEqual([0, 1, 2, 5, 6, 7]);
    expect(handlers.ranges).toEqual([[0, 2], [2, 3], [5, 6], [6, 8]]); // prettier-ignore
    const errors = await bench.world.memory.get(KEYS.errors(anIdentity().name, 0));
    expect(errors?.bytes.toString()).toContain('"uris":["s3://data/1"]');
  });

  it.each([
    ["are no JSON", '{"a": 1} {"b"'],
    ["are another number", "1 2 3"],
  ])("fails those whose bytes %s any more, and runs the others", async (what, text) => {
    const [uri, bytes] = ["s3://data/1", Buffer.from(text)];
    dataset.objects.set(uri, bytes);
    const etag = createHash("md5").update(bytes).digest("hex");
    spans[1] = { uri, etag, format: "concatenated", start: 0, end: bytes.length, items: 2 };
    if (what === "are another number") dataset.objects.delete("s3://data/0"); // else the handler counts them
    const bench = await ran(Handlers.bad({}));

    const changed = [[3, "input_changed"], [4, "input_changed"]]; // prettier-ignore
    const gone = what === "are another number" ? [0, 1, 2].map((index) => [index, "input_missing"]) : [];
    expect(await failedItems(bench)).toEqual([...gone, ...changed]);
    expect(await rows(bench)).toEqual([0, 1, 2, 5, 6, 7].slice(gone.length));
  });

  it("tells items that cannot be read from bad ones", async () => {
    dataset.objects.delete("s3://data/1");
    const bench = await ran(Handlers.bad({ 6: "raise" }));

    expect(await failedItems(bench)).toEqual([[3, "input_missing"], [4, "input_missing"], [6, "raised"]]); // prettier-ignore
    expect(await rows(bench)).toEqual([0, 1, 2, 5, 7]);
  });

  it("runs all of it when all can be read by then", async () => {
    const read = dataset.read.bind(dataset);
    let reads = 0;
    dataset.read = (uri, range, etag) => read((reads += 1) === 2 ? "s3://data/away" : uri, range, etag);
    const bench = await ran(Handlers.bad({}));

    expect(await bench.outcomes()).toMatchObject([{ result: "all", failed: 0 }]);
    expect(await rows(bench)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it.each<[string, Parameters<typeof aJobSpec>[0]]>([
    ["none of them can be read", {}],
    ["a later attempt comes", { attempts: 2 }],
    ["the job forbids to take batches apart", { isolate: false }],
  ])("fails as a whole when %s", async (what, spec) => {
    dataset.objects.delete("s3://data/1");
    if (what.startsWith("none")) dataset.objects.clear();
    const handlers = Handlers.bad({});
    const bench = await ran(handlers, spec);

    expect(await bench.outcomes()).toMatchObject([{ result: "none", cause: "input_missing" }]);
    expect(handlers.calls).toEqual([]);
  });

  it("is taken apart where workers died over it as well", async () => {
    dataset.objects.delete("s3://data/1");
    const bench = await ran(Handlers.bad({ 6: "raise" }), {}, { alone: true });

    expect(await failedItems(bench)).toEqual([[3, "input_missing"], [4, "input_missing"], [6, "raised"]]); // prettier-ignore
  });
});
