/**
 * A job's rows in input order, as NDJSON bytes with flat memory: of a final job from its manifest, before that of the
 * settled prefix from the live ledgers. Each batch's rows come once, also when a stream sees the job end.
 */
import type { Clock } from "../../backends/clock.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ErrorRow, type JobSpec, type Manifest, type SplitIndex } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { batchesInSplit } from "../../protocol/pointers.ts";
import { isFinal } from "../../protocol/states.ts";
import { pause } from "./events.ts";
import { refuseRemovedResults } from "./kept-results.ts";
import { linesOf, readPieces, readRanges, type RowRange } from "./row-ranges.ts";
import { SettledRows } from "./settled-rows.ts";
import { readState } from "./state-record.ts";
import { DamagedObject, parseStoredLine } from "../../protocol/stored.ts";
import { ERROR_ROW } from "../../protocol/stored-kinds.ts";
import { readNamed } from "./stored.ts";

export interface RowsDeps {
  readonly store: ObjectStore;
  readonly clock: Clock;
}

export interface RowsOptions {
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** Rows of an ended job that are gathered before they are read. Default 4 MiB. */
  readonly windowBytes?: number;
}

const FOLLOW_MILLISECONDS = 500;

/** Managed results. */
export async function* jobResults(deps: RowsDeps, spec: JobSpec, options: RowsOptions): AsyncGenerator<Buffer> {
  let next = 0;
  let settled: SettledRows | undefined;
  for (;;) {
    const manifest = await finalManifest(deps.store, spec);
    if (manifest !== undefined) {
      const ranges = indexedRanges(deps.store, spec, manifest, next);
      yield* untilAborted(readRanges(deps.store, ranges, options.windowBytes), options.signal);
      return;
    }
    settled ??= new SettledRows(deps.store, spec, "results");
    await settled.refresh();
    yield* untilAborted(readRanges(deps.store, settled.take()), options.signal);
    next = settled.next;
    if (!options.follow || !(await pause(deps.clock, FOLLOW_MILLISECONDS, options.signal))) return;
  }
}

/** Failed items. */
export async function* jobErrors(deps: RowsDeps, spec: JobSpec, options: RowsOptions): AsyncGenerator<ErrorRow> {
  let next = 0;
  let settled: SettledRows | undefined;
  for (;;) {
    const manifest = await finalManifest(deps.store, spec);
    if (manifest !== undefined) {
      for await (const row of finalErrors(deps.store, manifest, options.signal)) {
        if (row.batch >= next) yield row;
      }
      return;
    }
    settled ??= new SettledRows(deps.store, spec, "errors");
    await settled.refresh();
    for await (const row of settled.takeErrors()) {
      if (options.signal.aborted) return;
      yield row;
    }
    next = settled.next;
    if (!options.follow || !(await pause(deps.clock, FOLLOW_MILLISECONDS, options.signal))) return;
  }
}

/** The manifest once the job is final: before that its counts may not be told. Throws `Problem` (results_removed). */
async function finalManifest(store: ObjectStore, spec: JobSpec): Promise<Manifest | undefined> {
  const { state } = await readState(store, spec.api, spec.job);
  if (!isFinal(state.state)) return undefined;
  await refuseRemovedResults(store, spec);
  return readNamed<Manifest>(store, jobKeys(spec.api, spec.job).manifest, JOB_FORMAT);
}

/** Where the rows of batches from `next` on lie. */
async function* indexedRanges(
  store: ObjectStore,
  spec: JobSpec,
  manifest: Manifest,
  next: number,
): AsyncGenerator<RowRange> {
  let first = 0;
  for (let split = 0; split < manifest.splits; split++) {
    const batches = batchesInSplit(split);
    if (first + batches > next) {
      const key = jobKeys(spec.api, spec.job).index(split);
      const index = await readNamed<SplitIndex>(store, key);
      for (const place of index.batches.slice(Math.max(0, next - first))) {
        if (place === null) continue;
        const part = manifest.results[place[0]];
        if (part === undefined)
          throw new DamagedObject(key, `names part ${String(place[0])}, which the manifest has not`);
        yield { key: part.key, start: place[1], end: place[2] };
      }
    }
    first += batches;
  }
}

async function* finalErrors(store: ObjectStore, manifest: Manifest, signal: AbortSignal): AsyncGenerator<ErrorRow> {
  for (const { key, bytes } of manifest.errors) {
    for await (const line of linesOf(readPieces(store, { key, start: 0, end: bytes }))) {
      if (signal.aborted) return;
      yield parseStoredLine<ErrorRow>(key, line, ERROR_ROW);
    }
  }
}

async function* untilAborted(bytes: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const piece of bytes) {
    if (signal.aborted) return;
    yield piece;
  }
}
