import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { aListedInput, aSplitter, batchesOf, contents, emptyStore, finished, keys } from "../../support/splitting.ts";

interface WrittenFile {
  readonly text: string;
  /** The raw texts of its items. */
  readonly items: readonly string[];
}

const item = fc
  .oneof(
    fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
    fc.constantFrom(
      '"\\\\\\""',
      '{"é":"\\u0000]"}',
      "12345678901234567890",
      '[{"a":[1,2]},"}"]',
      '"😀{"',
      "[ ]",
      "-0.0",
    ),
  )
  .filter((text) => !text.includes("\n"));
const items = fc.array(item, { maxLength: 9 });

/** JSON lines with all that may lie between them. */
const lines: fc.Arbitrary<WrittenFile> = fc
  .record({ items, gap: fc.constantFrom("\n", "\r\n", "\n\n", "\n \t\r\n"), bom: fc.boolean(), last: fc.boolean() })
  .map((file) => {
    const all = ['{"first":1}', ...file.items];
    return { text: (file.bom ? "\ufeff" : "") + all.join(file.gap) + (file.last ? file.gap : ""), items: all };
  });
const array: fc.Arbitrary<WrittenFile> = fc
  .record({ items, gap: fc.constantFrom(",", " ,\n ", ",\r\n") })
  .map((file) => ({ text: ` [${file.items.join(file.gap)}\n]\n`, items: file.items }));
const concatenated: fc.Arbitrary<WrittenFile> = fc
  .record({ items, gap: fc.constantFrom("\n", " ", "\r\n\n") })
  .map((file) => {
    const all = ['{"f":\n1}', ...file.items];
    return { text: all.join(file.gap), items: all };
  });
const empty = fc.constantFrom("", " \n\n").map((text) => ({ text, items: [] }));
const files = fc.array(fc.oneof(lines, array, concatenated, empty), { minLength: 1, maxLength: 4 });
const sizes = { batchSize: fc.integer({ min: 1, max: 5 }), chunkBytes: fc.integer({ min: 32, max: 90 }) };

function datasetOf(written: readonly WrittenFile[]): MemoryDataset {
  const dataset = new MemoryDataset();
  written.forEach(({ text }, at) => dataset.objects.set(`s3://data/${String(at)}`, Buffer.from(text)));
  return dataset;
}

describe("Splitter", () => {
  it("puts each item into exactly one batch, in order, byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.record(sizes), async (written, { batchSize, chunkBytes }) => {
        const [store, dataset] = [emptyStore(), datasetOf(written)];
        const wanted = written.flatMap((file) => file.items);

        const end = await finished(aSplitter({ store, dataset, input: aListedInput(batchSize), chunkBytes }));

        const batches = await batchesOf(store, dataset);
        expect(batches.flatMap(({ raw }) => raw)).toEqual(wanted);
        expect(batches.flatMap(({ parsed }) => parsed)).toEqual(wanted.map((text) => JSON.parse(text) as unknown));
        expect(batches.slice(0, -1).every(({ raw }) => raw.length === batchSize)).toBe(true);
        expect(end).toMatchObject({ end: { complete: true, items: wanted.length, batches: batches.length } });
      }),
      { numRuns: 150 },
    );
  });

  it("writes the same bytes when it starts again after any object", async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.record(sizes), fc.boolean(), async (written, { batchSize, chunkBytes }, listed) => {
        const dataset = datasetOf(written);
        const input = listed
          ? aListedInput(batchSize)
          : { ...aListedInput(batchSize), kind: "file_path_lister" as const, paths: ["s3://data/", "s3://data/1"] };
        const whole = emptyStore();
        await finished(aSplitter({ store: whole, dataset, input, chunkBytes }));
        const objects = [...(await contents(whole))].sort(([a], [b]) =>
          a.includes("end") ? 1 : b.includes("end") ? -1 : 0,
        );

        for (let kept = 0; kept < objects.length; kept++) {
          const store = emptyStore();
          for (const [key, text] of objects.slice(0, kept)) await store.put(key, Buffer.from(text));
          await finished(aSplitter({ store, dataset, input, chunkBytes: chunkBytes + 7 }));
          expect(await contents(store)).toEqual(new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1))));
        }
      }),
      { numRuns: 40 },
    );
  });

  it("agrees with other splitters of the same job, however their steps interleave", async () => {
    await fc.assert(
      fc.asyncProperty(files, fc.array(fc.boolean(), { maxLength: 40 }), async (written, turns) => {
        const [alone, shared, dataset] = [emptyStore(), emptyStore(), datasetOf(written)];
        const input = aListedInput(2);
        await finished(aSplitter({ store: alone, dataset, input }));
        const [one, two] = [aSplitter({ store: shared, dataset, input }), aSplitter({ store: shared, dataset, input })];

        for (const turn of turns) await (turn ? one : two).step();
        const ends = [await finished(one), await finished(two)];

        expect(await contents(shared)).toEqual(await contents(alone));
        expect(ends[0]).toEqual(ends[1]);
      }),
      { numRuns: 100 },
    );
  });

  it("cuts staged items, and each listed URI is an item", async () => {
    const [store, dataset] = [emptyStore(), new MemoryDataset()];
    await store.put(keys.items(0), Buffer.from('[1]\n[2]\n"x"\n'));
    const input = { kind: "item_list" as const, batch_size: 2, items: 3, bytes: 12 };

    await finished(aSplitter({ store, dataset, input }));

    expect((await batchesOf(store, dataset)).map(({ raw }) => raw)).toEqual([["[1]", "[2]"], ['"x"']]);
  });

  it("answers no_match, again and again, when nothing matches", async () => {
    const splitter = aSplitter({ store: emptyStore(), dataset: new MemoryDataset(), input: aListedInput(1) });

    expect(await finished(splitter)).toMatchObject({
      kind: "no_match",
      message: expect.stringContaining("s3://data/") as string,
    });
    expect((await splitter.step()).kind).toBe("no_match");
  });

  it("ends early where it stands, and no splitter goes on after that", async () => {
    const [store, dataset] = [emptyStore(), new MemoryDataset()];
    dataset.objects.set("s3://data/x", Buffer.from("1\n".repeat(50)));
    const splitter = aSplitter({ store, dataset, input: aListedInput(3) });
    const other = aSplitter({ store, dataset, input: aListedInput(3) });
    while ((await splitter.step()).kind !== "split");

    const end = await splitter.endEarly();

    expect(end).toMatchObject({ complete: false, splits: 1, batches: 2, items: 6, cursor: { object: 0, offset: 12 } });
    expect(await finished(other)).toEqual({ kind: "ended", end });
    expect(await splitter.step()).toEqual({ kind: "ended", end });
    expect([...(await contents(store)).keys()].filter((key) => key.startsWith(keys.splits))).toHaveLength(2);
  });

  it("scans a bounded number of bytes in a step", async () => {
    const [store, dataset] = [emptyStore(), new MemoryDataset()];
    dataset.objects.set("s3://data/x", Buffer.from("x".repeat(1000)));
    const splitter = aSplitter({ store, dataset, input: aListedInput(3), stepBytes: 100 });
    const kinds: string[] = [];
    while (kinds.at(-1) !== "ended") kinds.push((await splitter.step()).kind);

    expect(kinds.filter((kind) => kind === "scanned").length).toBeGreaterThanOrEqual(6);
  });

  it.each([
    ["[1 2]", 'byte 3: found another character instead of "," or "]" after an element'],
    ["[1,2", "byte 3: the input ends inside the JSON value that begins here"],
    ['{\n"a":1}\n{"b"', "byte 9: the input ends inside"],
    ["[1],[2]", 'byte 3: found "," instead of nothing'],
  ])("fails with file and byte on %j", async (text, message) => {
    const dataset = new MemoryDataset();
    dataset.objects.set("s3://data/x", Buffer.from(text));

    const split = finished(aSplitter({ store: emptyStore(), dataset, input: aListedInput(1) }));

    await expect(split).rejects.toMatchObject({ fault: "unsupported", uri: "s3://data/x" });
    await expect(split).rejects.toThrow(`s3://data/x cannot be cut into items: ${message}`);
  });

  it("fails loudly when the data changes under it", async () => {
    const dataset = new MemoryDataset();
    dataset.objects.set("s3://data/x", Buffer.from("1\n".repeat(500)));
    const splitter = aSplitter({ store: emptyStore(), dataset, input: aListedInput(1) });
    while ((await splitter.step()).kind !== "split");
    dataset.objects.set("s3://data/x", Buffer.from("2\n".repeat(500)));

    await expect(finished(splitter)).rejects.toMatchObject({ fault: "changed" });
  });
});
