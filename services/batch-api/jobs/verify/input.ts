/** The split: numbers that follow each other, totals, and pointers that hold the input once and in order. */
import { SPLIT_FORMAT, batchesInSplit, type SplitFile, type StagedObject } from "../../../protocol/pointers.ts";
import { parseStoredLine } from "../../../protocol/stored.ts";
import { STAGED_OBJECT } from "../../../protocol/stored-kinds.ts";
import { readObject } from "../stored.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import { keysUnder } from "./logs.ts";
import type { Finding } from "./report.ts";

const RESTORE = "the split was damaged after it was written: restore the object, or submit the job again";

export const inputChecks: readonly Check[] = [
  { name: "split files follow each other, and are full", invariants: ["I3", "I4"], run: splitNumbers },
  { name: "totals are those of the split", invariants: ["I3"], when: ({ end }) => end !== undefined, run: totals },
  { name: "batches hold the staged input once and in order", invariants: ["I4"], run: spansInOrder },
];

async function* splitFiles({ store, keys, splits }: JobFacts): AsyncGenerator<SplitFile> {
  for (let split = 0; split < splits; split++) {
    const file = await readObject<SplitFile>(store, keys.split(split), SPLIT_FORMAT);
    if (file !== undefined) yield file;
  }
}

async function* splitNumbers(facts: JobFacts): AsyncGenerator<Finding> {
  let batches = 0;
  let items = 0;
  let expected = 0;
  for await (const file of splitFiles(facts)) {
    const key = facts.keys.split(expected);
    if (file.split !== expected || file.first_batch !== batches || file.first_item !== items) {
      yield {
        problem: `${key} says split ${String(file.split)} from batch ${String(file.first_batch)} and item ${String(file.first_item)}; those before it end at batch ${String(batches)} and item ${String(items)}`,
        mend: RESTORE,
      };
    }
    const last = expected === facts.splits - 1;
    const full = batchesInSplit(expected);
    if (file.batches.length === 0 || file.batches.length > full || (!last && file.batches.length !== full)) {
      yield { problem: `${key} holds ${String(file.batches.length)} batches, not ${String(full)}`, mend: RESTORE };
    }
    batches += file.batches.length;
    items = (facts.firstItemOf[batches - 1] ?? 0) + (facts.itemsOf[batches - 1] ?? 0);
    expected += 1;
  }
}

function* totals({ end, splits, itemsOf, items, spec, keys, final }: JobFacts): Generator<Finding> {
  if (end === undefined) return;
  if (end.splits !== splits || end.batches !== itemsOf.length || end.items !== items) {
    yield {
      problem: `${keys.splitEnd} counts ${String(end.splits)} split files, ${String(end.batches)} batches and ${String(end.items)} items; the files hold ${String(splits)}, ${String(itemsOf.length)} and ${String(items)}`,
      mend: RESTORE,
    };
  }
  const size = spec.input.batch_size;
  for (const [batch, count] of itemsOf.entries()) {
    const last = batch === itemsOf.length - 1;
    if (count === size || (last && count > 0 && count < size)) continue;
    yield {
      problem: `batch ${String(batch)} has ${String(count)} items where the batch size is ${String(size)}`,
      mend: RESTORE,
    };
  }
  if (end.complete && final && spec.input.kind === "item_list" && spec.input.items !== items) {
    yield {
      problem: `${String(spec.input.items)} items were accepted, and the split holds ${String(items)}`,
      mend: RESTORE,
    };
  }
}

/** Walks the staged objects beside the spans: each span lies behind the one before, in an object that was staged. */
async function* spansInOrder(facts: JobFacts): AsyncGenerator<Finding> {
  if (facts.spec.input.kind === "retry") return; // its items lie with its parent: `retried.ts`
  const staged = await stagedObjects(facts);
  let object = 0;
  let offset = 0;
  let batch = 0;
  for await (const file of splitFiles(facts)) {
    for (const flat of file.batches) {
      for (let at = 0; at + 3 < flat.length; at += 4) {
        const [source = -1, start = 0, end = 0, items = 0] = flat.slice(at, at + 4);
        const from = file.sources[source];
        const where = `batch ${String(batch)}: bytes ${String(start)} to ${String(end)}`;
        let found = object;
        const lies = () => staged[found]?.uri === from?.uri && start >= (found === object ? offset : 0);
        while (found < staged.length && !lies()) found += 1;
        const there = staged[found];
        if (from === undefined || there === undefined || start >= end || end > there.size || items < 1) {
          yield {
            problem: `${where} of source ${String(source)} do not lie in the staged input behind the batch before`,
            mend: RESTORE,
          };
          continue;
        }
        if (from.etag !== there.etag)
          yield { problem: `${where} are of another version of the object than was staged`, mend: RESTORE };
        yield* skippedBytes(facts, staged, object, offset, found, start, batch);
        object = found;
        offset = end;
      }
      batch += 1;
    }
  }
  if (facts.end?.complete === true) yield* skippedBytes(facts, staged, object, offset, staged.length, 0, batch);
  yield* await linesOfStagedItems(facts);
}

/** In staged items every byte belongs to a batch but line ends; in the user's objects blank space may lie between. */
function* skippedBytes(
  { spec }: JobFacts,
  staged: readonly StagedObject[],
  object: number,
  offset: number,
  nextObject: number,
  nextOffset: number,
  batch: number,
): Generator<Finding> {
  if (spec.input.kind === "delimited_files") return;
  const skipped =
    object === nextObject
      ? nextOffset - offset
      : staged.slice(object + 1, nextObject).reduce((sum, { size }) => sum + size, 0) +
        (staged[object]?.size ?? offset) -
        offset +
        nextOffset;
  // One newline may stand between two batches, in each object.
  if (skipped <= 1 + (nextObject - object)) return;
  yield {
    problem: `${String(skipped)} bytes of the staged items before batch ${String(batch)} are in no batch`,
    mend: RESTORE,
  };
}

/** Counts lines in the bytes that batches point at, where the items are staged in the store. */
async function linesOfStagedItems(facts: JobFacts): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (facts.spec.input.kind === "delimited_files") return findings;
  let batch = 0;
  const parts = new Map<string, Buffer>();
  for await (const file of splitFiles(facts)) {
    for (const flat of file.batches) {
      let lines = 0;
      for (let at = 0; at + 3 < flat.length; at += 4) {
        const [source = -1, start = 0, end = 0] = flat.slice(at, at + 3);
        const key = file.sources[source]?.uri.slice("store:".length) ?? "";
        if (!parts.has(key)) {
          parts.clear();
          parts.set(key, (await facts.store.get(key))?.bytes ?? Buffer.alloc(0));
        }
        const text = parts.get(key)?.toString("latin1", start, end) ?? "";
        lines += text.split("\n").filter((line) => line.trim() !== "").length;
      }
      if (lines !== facts.itemsOf[batch]) {
        findings.push({
          problem: `batch ${String(batch)} says ${String(facts.itemsOf[batch])} items, and its bytes hold ${String(lines)} lines`,
          mend: RESTORE,
        });
      }
      batch += 1;
    }
  }
  return findings;
}

async function stagedObjects({ store, keys, spec }: JobFacts): Promise<StagedObject[]> {
  const staged: StagedObject[] = [];
  const prefix = spec.input.kind === "delimited_files" ? keys.listingPrefix : `${keys.root}input/items-`;
  for await (const key of keysUnder(store, prefix)) {
    if (key === keys.listingEnd) continue;
    if (spec.input.kind !== "delimited_files") {
      staged.push({ uri: `store:${key}`, size: (await store.size(key)) ?? 0, etag: "" });
      continue;
    }
    // The first line of a part says where the listing goes on.
    const lines = ((await store.get(key))?.bytes.toString("utf8") ?? "").split("\n").slice(1).filter(Boolean);
    staged.push(...lines.map((line) => parseStoredLine<StagedObject>(key, line, STAGED_OBJECT)));
  }
  return staged;
}
