/** The rows: every part as the manifest says, each row of the right batch and there once, every failed item explained once. */
import type { ErrorRow, ManifestPart, SplitIndex } from "../../../protocol/jobs.ts";
import { batchesInSplit } from "../../../protocol/pointers.ts";
import { readObject } from "../stored.ts";
import type { Check } from "./check.ts";
import type { JobFacts } from "./facts.ts";
import { partProof } from "./part-proof.ts";
import type { Finding } from "./report.ts";

const DAMAGED = "the object was damaged after it was written: restore it, or submit the job again";
const BUG = "do not use this job's managed results; submit it again, and report this as a fault of Millrace";

const ended = ({ final, manifest }: JobFacts) => final && manifest !== undefined;

export const rowChecks: readonly Check[] = [
  {
    name: "parts hold the bytes and rows that the manifest proves",
    invariants: ["I16"],
    when: ended,
    ofRows: true,
    run: partsHold,
  },
  {
    name: "the index says where each winner's rows are",
    invariants: ["I16"],
    when: ended,
    ofRows: true,
    run: indexFits,
  },
  {
    name: "each result row is of its batch, and there once",
    invariants: ["I3", "I16"],
    when: ended,
    ofRows: true,
    run: rowsOnce,
  },
  {
    name: "no batch is reported failed before its last attempt",
    invariants: ["I9"],
    when: ended,
    ofRows: true,
    run: failedAtLast,
  },
  {
    name: "each failed item has one error row, in input order",
    invariants: ["I2", "I16"],
    when: ended,
    ofRows: true,
    run: errorsCover,
  },
];

async function* partsHold({ manifest, store }: JobFacts): AsyncGenerator<Finding> {
  for (const part of [...(manifest?.results ?? []), ...(manifest?.errors ?? [])]) {
    const found = await store.get(part.key);
    if (found === undefined) {
      yield { problem: `${part.key}, which the manifest names, is not there`, mend: DAMAGED };
      continue;
    }
    const { bytes, rows, sha256 } = partProof(found.bytes);
    if (bytes !== part.bytes || rows !== part.rows) {
      yield {
        problem: `${part.key} has ${String(bytes)} bytes and ${String(rows)} rows; the manifest says ${String(part.bytes)} and ${String(part.rows)}`,
        mend: DAMAGED,
      };
    } else if (sha256 !== part.sha256) {
      yield { problem: `${part.key} has another sha256 than the manifest says`, mend: DAMAGED };
    }
  }
}

interface Place {
  readonly batch: number;
  readonly part: number;
  readonly start: number;
  readonly end: number;
  readonly rows: number;
}

/** Entries of the index, batch after batch; undefined for one without rows. */
async function* indexEntries({
  store,
  keys,
  splits,
  itemsOf,
}: JobFacts): AsyncGenerator<
  { readonly batch: number; readonly place: Place | undefined } | { readonly missing: string }
> {
  let first = 0;
  for (let split = 0; split < splits; split++) {
    const index = await readObject<SplitIndex>(store, keys.index(split));
    const batches = Math.min(batchesInSplit(split), itemsOf.length - first);
    if (index?.batches.length !== batches) yield { missing: keys.index(split) };
    for (const [offset, entry] of (index?.batches ?? []).entries()) {
      const batch = first + offset;
      if (entry === null) {
        yield { batch, place: undefined };
        continue;
      }
      const [part, start, end, rows] = entry;
      yield { batch, place: { batch, part, start, end, rows } };
    }
    first += batches;
  }
}

async function* indexFits(facts: JobFacts): AsyncGenerator<Finding> {
  for await (const entry of indexEntries(facts)) {
    if ("missing" in entry) {
      yield { problem: `${entry.missing} does not hold an entry for each batch of its split`, mend: BUG };
      continue;
    }
    const { batch, place } = entry;
    const won = facts.folded.winners.get(batch)?.line.rows;
    if ((won?.rows ?? 0) === (place?.rows ?? 0) && (won === undefined) === (place === undefined)) continue;
    yield {
      problem: `the index says ${String(place?.rows ?? "no")} rows of batch ${String(batch)}, and its winning attempt left ${String(won?.rows ?? "none")}`,
      mend: BUG,
    };
  }
}

async function* rowsOnce(facts: JobFacts): AsyncGenerator<Finding> {
  const parts = facts.manifest?.results ?? [];
  const byPart: Place[][] = parts.map(() => []);
  for await (const entry of indexEntries(facts)) {
    if ("missing" in entry || entry.place === undefined) continue;
    const places = byPart[entry.place.part];
    if (places !== undefined) places.push(entry.place);
    else
      yield {
        problem: `the index puts batch ${String(entry.batch)} into part ${String(entry.place.part)}, which the manifest does not have`,
        mend: BUG,
      };
  }
  const seen = new Uint8Array(facts.items);
  for (const [at, part] of parts.entries()) {
    const bytes = (await facts.store.get(part.key))?.bytes ?? Buffer.alloc(0);
    let end = 0;
    for (const place of (byPart[at] ?? []).sort((a, b) => a.start - b.start)) {
      if (place.start !== end) yield strayBytes(part, end, place.start);
      end = place.end;
      yield* rowsOfBatch(facts, part, place, bytes.toString("utf8", place.start, place.end), seen);
    }
    if (end !== part.bytes) yield strayBytes(part, end, part.bytes);
  }
}

function strayBytes({ key }: ManifestPart, from: number, to: number): Finding {
  return { problem: `${key}: bytes ${String(from)} to ${String(to)} are of no batch, or of two`, mend: BUG };
}

function* rowsOfBatch(
  facts: JobFacts,
  { key }: ManifestPart,
  place: Place,
  text: string,
  seen: Uint8Array,
): Generator<Finding> {
  const first = facts.firstItemOf[place.batch] ?? 0;
  const items = facts.itemsOf[place.batch] ?? 0;
  const where = `${key}, bytes ${String(place.start)} to ${String(place.end)} (batch ${String(place.batch)})`;
  const lines = text.split("\n");
  if (lines.pop() !== "" || lines.length !== place.rows) {
    yield {
      problem: `${where}: ${String(lines.length)} rows where the index says ${String(place.rows)}`,
      mend: DAMAGED,
    };
  }
  for (const line of lines) {
    const index = indexOf(line);
    if (index === undefined) yield { problem: `${where}: a line is not a result row`, mend: DAMAGED };
    else if (index < first || index >= first + items) {
      yield { problem: `${where}: a row has index ${String(index)}, which is another batch's item`, mend: BUG };
    } else if (seen[index] === 1) yield { problem: `${where}: index ${String(index)} is there twice`, mend: BUG };
    else seen[index] = 1;
  }
}

function indexOf(line: string): number | undefined {
  try {
    const { index } = JSON.parse(line) as { readonly index?: unknown };
    return typeof index === "number" && Number.isInteger(index) ? index : undefined;
  } catch {
    return undefined; // the caller says so
  }
}

async function* errorsCover(facts: JobFacts): AsyncGenerator<Finding> {
  const rows = new Map<number, number>();
  let last = -1;
  for (const part of facts.manifest?.errors ?? []) {
    const text = (await facts.store.get(part.key))?.bytes.toString("utf8") ?? "";
    for (const line of text.split("\n").filter(Boolean)) {
      const row = errorRow(line);
      if (row === undefined) {
        yield { problem: `${part.key}: a line is not an error row`, mend: DAMAGED };
        continue;
      }
      const first = facts.firstItemOf[row.batch] ?? Infinity;
      if (row.index < first || row.index >= first + (facts.itemsOf[row.batch] ?? 0)) {
        yield { problem: `${part.key}: item ${String(row.index)} is not in batch ${String(row.batch)}`, mend: BUG };
      }
      if (row.index <= last) {
        yield { problem: `${part.key}: item ${String(row.index)} comes after item ${String(last)}`, mend: BUG };
      }
      last = row.index;
      rows.set(row.batch, (rows.get(row.batch) ?? 0) + 1);
    }
  }
  for (const batch of new Set([...facts.folded.settled, ...rows.keys()])) {
    const failed = failedItems(facts, batch);
    if (failed === (rows.get(batch) ?? 0)) continue;
    yield {
      problem: `batch ${String(batch)} lost ${String(failed)} items, and ${String(rows.get(batch) ?? 0)} error rows explain them`,
      mend: BUG,
    };
  }
}

async function* failedAtLast(facts: JobFacts): AsyncGenerator<Finding> {
  const reported = new Set<number>();
  for (const part of facts.manifest?.errors ?? []) {
    const text = (await facts.store.get(part.key))?.bytes.toString("utf8") ?? "";
    for (const line of text.split("\n")) reported.add(errorRow(line)?.batch ?? -1);
  }
  reported.delete(-1);
  for (const batch of reported) {
    const tried = facts.folded.failed.get(batch)?.size ?? 0;
    if (facts.folded.winners.get(batch)?.line.result === "some" || tried >= facts.spec.attempts) continue;
    yield {
      problem: `batch ${String(batch)} is reported failed after ${String(tried)} failed attempts of ${String(facts.spec.attempts)}`,
      mend: BUG,
    };
  }
}

function failedItems({ folded, itemsOf }: JobFacts, batch: number): number {
  if (!folded.settled.has(batch)) return 0;
  const line = folded.winners.get(batch)?.line;
  return line === undefined || line.result === "none" ? (itemsOf[batch] ?? 0) : line.failed;
}

function errorRow(line: string): Pick<ErrorRow, "index" | "batch"> | undefined {
  try {
    const { index, batch } = JSON.parse(line) as Partial<ErrorRow>;
    return typeof index === "number" && typeof batch === "number" ? { index, batch } : undefined;
  } catch {
    return undefined; // the caller says so
  }
}
