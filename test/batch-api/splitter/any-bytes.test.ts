/** Lines of any bytes, cut by the splitter at any window and read by a worker in any groups, against the slow way to tell lines. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { Splitter } from "../../../services/batch-api/splitter/splitter.ts";
import { pointerAt, type SplitFile } from "../../../services/protocol/pointers.ts";
import type { HeldBatch } from "../../../services/worker/hand.ts";
import { PayloadReader, type Payload } from "../../../services/worker/payload-reader.ts";
import { aOneItemMessage } from "../../support/a-worker.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { aListedInput, aSplitter, contents, emptyStore, finished, keys } from "../../support/splitting.ts";

/** Never guessed to be anything but lines, however little of it is seen at first. */
const FIRST = '{"first":1}';
const BOM = "\ufeff";

/** Pieces of lines: bytes that are cut in the middle, look like line ends, or are no text at all. */
const PIECES = [
  ...['"', "\\", "{", "}", "[", "]", ",", ":", "1", "-0", "null", " ", "\t", "\r", "\0", "\f", "\v", "\u001a", "\u007f"],
  ...["\u0085", "\u00a0", "\u2028", "\u2029", BOM, "é", "e\u0301", "日本", "😀", "👩‍👩‍👧", "\\ud83d\\ude00", "\\ud800", "\\u000a", "\\n", "\\r\\n"],
  ...['{"a":"\\u2028]"}', '"\\"\\\\"', '{"n":\t[1, 2]}', "x".repeat(63), "x".repeat(64), "é".repeat(97)],
].map((text) => Buffer.from(text)); // prettier-ignore
const BROKEN = [[0xff], [0xc0, 0x80], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0x80], [0xfe, 0xff]].map((bytes) => Buffer.from(bytes)); // prettier-ignore

const line = fc.array(fc.constantFrom(...PIECES, ...BROKEN), { maxLength: 6 }).map((pieces) => Buffer.concat(pieces));
const end = fc.constantFrom("\n", "\r\n", "\n\n", "\n \t\r\n", "\r\r\n", "\n\r\n\n");
const file = fc
  .record({
    bom: fc.boolean(),
    blank: fc.constantFrom("", "\n", " \r\n\t\n"),
    lines: fc.array(fc.tuple(line, end), { maxLength: 12 }),
    last: fc.boolean(),
  })
  .map(({ bom, blank, lines, last }) => {
    const all = [Buffer.from(`${bom ? BOM : ""}${blank}${FIRST}\n`), ...lines.flatMap(([text, gap]) => [text, Buffer.from(gap)])]; // prettier-ignore
    return Buffer.concat(last ? all : all.slice(0, -1));
  });

/** The items of a file, in Latin-1 so that a byte is a character, by what everybody means by lines. */
function slowItems(bytes: Buffer): readonly string[] {
  const lines = bytes.toString("latin1").replace(/^\xef\xbb\xbf/, "").split("\n"); // prettier-ignore
  return lines.map((text) => text.replace(/^[ \t\r]+|[ \t\r]+$/g, "")).filter((text) => text !== "");
}

function datasetOf(files: readonly Buffer[]): MemoryDataset {
  const dataset = new MemoryDataset();
  files.forEach((bytes, at) => dataset.objects.set(`s3://data/${String(at).padStart(3, "0")}`, bytes));
  return dataset;
}

interface ReadBatch {
  /** Items that its pointer counts. */
  readonly pointed: number;
  readonly payload: Payload;
}

/** What a worker reads of each batch, `together` of them at a time. */
async function payloadsOf(store: MemoryStore, dataset: MemoryDataset, together = 1): Promise<ReadBatch[]> {
  const held: HeldBatch[] = [];
  for (const [key, text] of await contents(store)) {
    if (!key.startsWith(keys.splits) || key === keys.splitEnd) continue;
    const split = JSON.parse(text) as SplitFile;
    for (let at = 0; at < split.batches.length; at++) held.push(aHeld(aOneItemMessage(0, { pointer: pointerAt(split, at) }))); // prettier-ignore
  }
  const reader = new PayloadReader(store, dataset);
  for (let at = 0; at < held.length; at += together) reader.group(held.slice(at, at + together));
  return Promise.all(
    held.map(async (one) => ({ pointed: one.message.pointer.items, payload: await reader.read(one) })),
  );
}

function aHeld(message: HeldBatch["message"]): HeldBatch {
  return { message, receipt: "", alone: false, redelivered: false, begun: false, unbegun: 0 };
}

/** Cuts and reads the files; the items of each batch, as `slowItems` writes them. */
async function itemsOfBatches(files: readonly Buffer[], batchSize: number, chunkBytes: number, together = 1) {
  const [store, dataset] = [emptyStore(), datasetOf(files)];
  await finished(aSplitter({ store, dataset, input: aListedInput(batchSize), chunkBytes }));
  const payloads = await payloadsOf(store, dataset, together);
  return payloads.map(({ payload, pointed }) => {
    const items = payload.items().map(({ bytes }) => bytes.toString("latin1"));
    expect(items).toHaveLength(pointed);
    expectTheSameArray(payload, items);
    return items;
  });
}

/** What the handler gets is JSON where every item is, and then the same values. */
function expectTheSameArray(payload: Payload, items: readonly string[]): void {
  const values = items.map((text) => parsed(Buffer.from(text, "latin1").toString()));
  if (values.every((value) => value !== undefined)) expect(parsed(payload.array.toString())).toEqual({ is: values.map(({ is }) => is) }); // prettier-ignore
}

function parsed(text: string): { readonly is: unknown } | undefined {
  try {
    return { is: JSON.parse(text) as unknown };
  } catch {
    return undefined; // such an item fails alone
  }
}

/** A line of each kind that is hard to cut. */
const HARD = Buffer.concat([
  Buffer.from(`${BOM}\r\n${FIRST}\r\n"é😀\u2028\\ud83d\\n"\n\n \t\r\n{"a":"\\\\","b":[1,2]}\r\r\n\0\n${BOM}3\n\f\n`),
  Buffer.from([0xff, 0x0d, 0x0a, 0xe2, 0x82, 0x0a, 0x0a, 0x0d]),
  Buffer.from(`"${"x".repeat(70)}"  \n"the last, without an end"`),
]);

describe("lines of any bytes", () => {
  it("are the items that the slow way finds, for any windows, batches, and groups that are read together", async () => {
    const sizes = fc.record({
      batchSize: fc.integer({ min: 1, max: 5 }),
      chunkBytes: fc.integer({ min: 3, max: 200 }),
      together: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(file, { minLength: 1, maxLength: 3 }), sizes, async (files, { batchSize, chunkBytes, together }) => {
        const batches = await itemsOfBatches(files, batchSize, chunkBytes, together);

        expect(batches.flat()).toEqual(files.flatMap(slowItems));
        expect(batches.slice(0, -1).every(({ length }) => length === batchSize)).toBe(true);
      }),
      { numRuns: 400 },
    ); // prettier-ignore
  });

  it("are the same through windows of every size", async () => {
    for (let chunkBytes = 3; chunkBytes <= HARD.length + 1; chunkBytes++) {
      expect([chunkBytes, (await itemsOfBatches([HARD], 2, chunkBytes)).flat()]).toEqual([chunkBytes, slowItems(HARD)]);
    }
  });

  it("are the same where the file ends after any of its bytes, and another one follows", async () => {
    const files = Array.from({ length: HARD.length - 1 }, (_, at) => [HARD.subarray(0, at + 1), HARD] as const);
    for (const [cut, whole] of files) {
      expect([cut.length, (await itemsOfBatches([cut, whole], 3, 37)).flat()]).toEqual([cut.length, [...slowItems(cut), ...slowItems(whole)]]); // prettier-ignore
    }
  });

  it("may be longer than every window and every read", async () => {
    const long = Buffer.concat([Buffer.from('"'), Buffer.alloc(5 * 1024 * 1024 + 17, "é"), Buffer.from('"')]);
    const bytes = Buffer.concat([Buffer.from(`${FIRST}\n`), long, Buffer.from("\r\n2\n"), long]);
    const [store, dataset] = [emptyStore(), new MemoryDataset()];
    dataset.objects.set("file:///data/x", bytes);
    const input = aListedInput(1, ["file:///data/"]);

    await finished(new Splitter({ spec: { api: "api", job: "0123456789abcdef", input }, store, dataset }));

    const items = (await payloadsOf(store, dataset, 4)).flatMap(({ payload }) => payload.items());
    expect(items.map(({ bytes: { length } }) => length)).toEqual([FIRST.length, long.length, 1, long.length]);
    expect(items[1]?.bytes.equals(long)).toBe(true);
  });
});
