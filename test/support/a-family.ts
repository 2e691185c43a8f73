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
  const fates = (await batchesOfJob(world, spec)).map((items, batch) => fated(spec, items, batch, fateOf(batch)));
  const lines = Buffer.from(fates.flatMap(({ outcomes }) => outcomes.map(encodeLine)).join(""));
  const ledger = keys.ledger("1-1-0-aa", 0);
  await store.put(ledger, lines);
  await store.put(
    keys.cut,
    encodeStored({ format: 1, ledgers: { [ledger]: lines.length }, verdicts: {} } satisfies Cut),
  );
  await putIndex(world, spec, end, fates);
  const rows = fates.flatMap((one) => one.rows);
  const manifest: Manifest = {
    ...{ format: 1, job: spec.job, api: spec.api, version: spec.version },
    ...countsOf(end, fates),
    results: rows.length === 0 ? [] : [await putPart(store, keys.part("rows.ndjson"), rows)],
    // Two parts, so that rows are read across their border.
    errors: await Promise.all(
      halves(fates.flatMap(({ errors }) => errors)).map((part, at) =>
        putPart(store, keys.part(`errors-${String(at)}.ndjson`), part),
      ),
    ),
    splits: end.splits,
  };
  await store.put(keys.manifest, encodeStored(manifest));
  const ended = manifest.counts.items_failed > 0 ? "completed_with_failures" : "succeeded";
  const at = { [ended]: 1 };
  const record: StateRecord = { ...FIRST_STATE, state: ended, counts: manifest.counts, writes: 1, at, ...state };
  await store.swap(keys.state, encodeStored(record), undefined);
}

interface FatedBatch {
  readonly items: number;
  readonly failed: number;
  readonly skipped: boolean;
  readonly rows: readonly string[];
  readonly errors: readonly string[];
  readonly outcomes: readonly OutcomeLine[];
}

function fated(spec: JobSpec, items: readonly CutItem[], batch: number, fate: Fate): FatedBatch {
  const skipped = fate.kind === "skipped";
  const bad = items.filter((_, offset) => isFailed(fate, offset));
  const good = items.filter((_, offset) => !skipped && !isFailed(fate, offset));
  const row = ({ index, text }: CutItem) => `${JSON.stringify({ index, result: { job: spec.job, text } })}\n`;
  const exactly = "exactly" in fate && fate.exactly;
  const errors = bad.map(({ index, at, span }) => errorRow(spec, index, batch, exactly ? at : span));
  const [count, failed] = [items.length, bad.length];
  const result = failed === 0 ? "all" : failed === count ? "none" : "some";
  const attempts = skipped ? 0 : result === "none" ? spec.attempts : 1;
  const outcomes = Array.from({ length: attempts }, (_, attempt): OutcomeLine => {
    return { t: "outcome", batch, attempt: attempt + 1, result, items: count, failed, seconds: 0 };
  });
  return { items: count, failed, skipped, rows: good.map(row), errors, outcomes };
}

async function putIndex(
  { store, splitBatches }: FamilyWorld,
  spec: JobSpec,
  end: SplitEnd,
  fates: readonly FatedBatch[],
): Promise<void> {
  let bytes = 0;
  const index = fates.map(({ rows }) => {
    const start = bytes;
    for (const row of rows) bytes += Buffer.byteLength(row);
    return rows.length === 0 ? null : ([0, start, bytes, rows.length] as const);
  });
  for (let split = 0; split < end.splits; split++) {
    const batches = index.slice(split * splitBatches, (split + 1) * splitBatches);
    const stored: SplitIndex = { split, batches };
    await store.put(jobKeys(spec.api, spec.job).index(split), encodeStored(stored));
  }
}

function countsOf(end: SplitEnd, fates: readonly FatedBatch[]): Pick<Manifest, "counts" | "skipped"> {
  const settled = fates.filter(({ skipped }) => !skipped);
  const items = settled.reduce((sum, one) => sum + one.items, 0);
  const failed = settled.reduce((sum, one) => sum + one.failed, 0);
  const whole = settled.filter((one) => one.failed === 0).length;
  return {
    counts: {
      ...{ batches: end.batches, items: end.items, complete: end.complete, attempts_failed: 0, handler_seconds: 0 },
      ...{ batches_succeeded: whole, batches_failed: settled.length - whole },
      ...{ items_failed: failed, items_succeeded: items - failed },
    },
    skipped: { batches: end.batches - settled.length, items: end.items - items, input_remaining: !end.complete },
  };
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
