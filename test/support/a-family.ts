/** Ended jobs made by hand, over a real splitter's batches: what becomes of each batch is said, and nothing runs. */
import type { Dataset } from "../../services/backends/dataset.ts";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { FIRST_STATE } from "../../services/batch-api/jobs/state-record.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { Splitter } from "../../services/batch-api/splitter/splitter.ts";
import type { Cut, ErrorRow, JobSpec, Manifest, ManifestPart, SplitIndex, StateRecord } from "../../services/protocol/jobs.ts"; // prettier-ignore
import { jobKeys } from "../../services/protocol/keys.ts";
import { encodeLine, type OutcomeLine } from "../../services/protocol/ledger.ts";
import { Origins } from "../../services/protocol/origins.ts";
import { itemRanges } from "../../services/protocol/payload.ts";
import { CHANGED_ETAG, pointerAt, type SplitEnd, type SplitFile } from "../../services/protocol/pointers.ts";

/** What becomes of a batch. `exactly`: the error rows say where each item lies, and not only its span. */
export type Fate =
  | { readonly kind: "succeeded" | "skipped" }
  | { readonly kind: "failed"; readonly exactly: boolean }
  | { readonly kind: "some"; readonly exactly: boolean; readonly failed: (offset: number) => boolean };

export interface FamilyWorld {
  readonly store: ObjectStore;
  readonly dataset: Dataset;
  /** Batches in a split file. */
  readonly splitBatches: number;
}

export function aFamilySplitter(
  { store, dataset, splitBatches }: FamilyWorld,
  spec: JobSpec,
  chunkBytes = 64,
): Splitter {
  return new Splitter({ spec, store, dataset, chunkBytes, stepBytes: 200, batchesIn: () => splitBatches });
}

/** Accepts a job and splits it. `earlyAfter`: ends the split early after so many split files. */
export async function splitJob(world: FamilyWorld, spec: JobSpec, earlyAfter = Infinity): Promise<SplitEnd> {
  await world.store.put(jobKeys(spec.api, spec.job).spec, encodeStored(spec));
  const splitter = aFamilySplitter(world, spec);
  for (let files = 0; files < earlyAfter;) {
    const step = await splitter.step();
    if (step.kind === "ended") return step.end;
    if (step.kind === "no_match") throw new Error(step.message);
    if (step.kind === "split") files += 1;
  }
  return splitter.endEarly();
}

export interface CutItem {
  readonly index: number;
  /** Index in the family's root. */
  readonly origin: number;
  /** Its bytes; undefined: they have changed since they were listed. */
  readonly text: string | undefined;
  readonly span: ErrorRow["at"];
  readonly at: ErrorRow["at"];
}

/** The items of each batch of a job, read by its pointers. */
export async function batchesOfJob({ store, dataset }: FamilyWorld, spec: JobSpec): Promise<readonly CutItem[][]> {
  const keys = jobKeys(spec.api, spec.job);
  const end = JSON.parse(String((await store.get(keys.splitEnd))?.bytes)) as SplitEnd;
  const batches: CutItem[][] = [];
  for (let split = 0; split < end.splits; split++) {
    const file = JSON.parse(String((await store.get(keys.split(split)))?.bytes)) as SplitFile;
    const origins = new Origins(file);
    let index = file.first_item;
    for (let offset = 0; offset < file.batches.length; offset++) {
      const items: CutItem[] = [];
      for (const span of pointerAt(file, offset).spans) {
        const { uri, start, end: spanEnd } = span;
        const whole = { uri, start, end: spanEnd };
        const bytes = span.etag === CHANGED_ETAG ? undefined : await read({ store, dataset }, span);
        const ranges = bytes === undefined ? [] : itemRanges(span, bytes);
        if (bytes !== undefined && ranges.length !== span.items)
          throw new Error(`${uri} has other items than its span`);
        for (let item = 0; item < span.items; item++) {
          const range = ranges[item];
          const text = range && bytes?.toString("utf8", range.start - start, range.end - start);
          const [origin] = origins.of(index, 1);
          items.push({ index, origin: origin?.first ?? -1, text, span: whole, at: range ? { uri, ...range } : whole });
          index += 1;
        }
      }
      batches.push(items);
    }
  }
  return batches;
}

async function read(
  { store, dataset }: Pick<FamilyWorld, "store" | "dataset">,
  {
    uri,
    etag,
    start,
    end,
  }: { readonly uri: string; readonly etag: string; readonly start: number; readonly end: number },
): Promise<Buffer | undefined> {
  if (uri.startsWith("store:")) return (await store.get(uri.slice(6), { start, end }))?.bytes;
  return dataset.read(uri, { start, end }, etag).catch(() => undefined);
}

/** Writes what a driver leaves of a job whose split has ended. Rows name the job and the item's text. */
export async function endJob(
  world: FamilyWorld,
  spec: JobSpec,
  fateOf: (batch: number) => Fate,
  state: Partial<StateRecord> = {},
): Promise<void> {
  const { store } = world;
  const keys = jobKeys(spec.api, spec.job);
  const end = JSON.parse(String((await store.get(keys.splitEnd))?.bytes)) as SplitEnd;
  const batches = await batchesOfJob(world, spec);
  const ledger: OutcomeLine[] = [];
  const rows: string[] = [];
  const errors: string[] = [];
  const index: (readonly [number, number, number, number] | null)[] = [];
  let bytes = 0;
  const counts = {
    batches: end.batches,
    items: end.items,
    succeeded: 0,
    failed: 0,
    skipped: 0,
    failedItems: 0,
    skippedItems: 0,
  };
  for (const [batch, items] of batches.entries()) {
    const fate = fateOf(batch);
    const failed = items.filter((_, offset) => isFailed(fate, offset));
    const good = items.filter((_, offset) => fate.kind !== "skipped" && !isFailed(fate, offset));
    const own = good.map(
      (item) => `${JSON.stringify({ index: item.index, result: { job: spec.job, text: item.text } })}\n`,
    );
    index.push(own.length === 0 ? null : [0, bytes, (bytes += Buffer.byteLength(own.join(""))), own.length]);
    rows.push(...own);
    for (const { index: item, at, span } of failed)
      errors.push(errorRow(spec, item, batch, "exactly" in fate && fate.exactly ? at : span));
    counts.failedItems += failed.length;
    if (fate.kind === "skipped") {
      counts.skipped += 1;
      counts.skippedItems += items.length;
      continue;
    }
    counts[failed.length === 0 ? "succeeded" : "failed"] += 1;
    const result = failed.length === 0 ? "all" : failed.length === items.length ? "none" : "some";
    for (let attempt = 1; attempt <= (result === "none" ? spec.attempts : 1); attempt++) {
      ledger.push({ t: "outcome", batch, attempt, result, items: items.length, failed: failed.length, seconds: 0 });
    }
  }
  const lines = Buffer.from(ledger.map(encodeLine).join(""));
  const ledgerKey = keys.ledger("1-1-0-aa", 0);
  await store.put(ledgerKey, lines);
  const cut: Cut = { format: 1, ledgers: { [ledgerKey]: lines.length }, verdicts: {} };
  await store.put(keys.cut, encodeStored(cut));
  const split = { split: 0, batches: index } satisfies SplitIndex;
  for (let at = 0; at < end.splits; at++) {
    const batchesOf = split.batches.slice(at * world.splitBatches, (at + 1) * world.splitBatches);
    await store.put(keys.index(at), encodeStored({ split: at, batches: batchesOf } satisfies SplitIndex));
  }
  const manifest: Manifest = {
    format: 1,
    job: spec.job,
    api: spec.api,
    version: spec.version,
    counts: {
      ...{ batches: end.batches, items: end.items, complete: end.complete, attempts_failed: 0, handler_seconds: 0 },
      ...{ batches_succeeded: counts.succeeded, batches_failed: counts.failed, items_failed: counts.failedItems },
      items_succeeded: end.items - counts.failedItems - counts.skippedItems,
    },
    skipped: { batches: counts.skipped, items: counts.skippedItems, input_remaining: !end.complete },
    results: rows.length === 0 ? [] : [await putPart(store, keys.part("rows.ndjson"), rows)],
    // Two parts, so that rows are read across their border.
    errors: await Promise.all(
      halves(errors).map((part, at) => putPart(store, keys.part(`errors-${String(at)}.ndjson`), part)),
    ),
    splits: end.splits,
  };
  await store.put(keys.manifest, encodeStored(manifest));
  const ended = counts.failedItems > 0 ? "completed_with_failures" : "succeeded";
  const record: StateRecord = {
    ...FIRST_STATE,
    state: ended,
    counts: manifest.counts,
    writes: 1,
    at: { [ended]: 1 },
    ...state,
  };
  await store.swap(keys.state, encodeStored(record), undefined);
}

function isFailed(fate: Fate, offset: number): boolean {
  return fate.kind === "failed" || (fate.kind === "some" && fate.failed(offset));
}

function errorRow(spec: JobSpec, index: number, batch: number, at: ErrorRow["at"]): string {
  const row: ErrorRow = { index, batch, attempts: 1, cause: "raised", error: `in ${spec.job}`, traceback: "", at };
  return `${JSON.stringify(row)}\n`;
}

function halves(rows: readonly string[]): string[][] {
  const middle = Math.ceil(rows.length / 2);
  return [rows.slice(0, middle), rows.slice(middle)].filter((part) => part.length > 0);
}

async function putPart(store: ObjectStore, key: string, rows: readonly string[]): Promise<ManifestPart> {
  const bytes = Buffer.from(rows.join(""));
  await store.put(key, bytes);
  return { key, bytes: bytes.length, rows: rows.length, sha256: "" };
}
