import { createHash } from "node:crypto";
import type { ObjectStore } from "../../backends/object-store.ts";
import { diedRows, errorRows, type AttemptErrors } from "../../protocol/errors.ts";
import {
  JOB_FORMAT,
  type Cut,
  type ErrorRow,
  type JobCounts,
  type JobSpec,
  type Manifest,
  type ManifestPart,
  type SplitIndex,
} from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { SealedLine } from "../../protocol/ledger.ts";
import { batchesInSplit } from "../../protocol/pointers.ts";
import { DamagedObject, parseStoredLine } from "../../protocol/stored.ts";
import { ATTEMPT_ERRORS } from "../../protocol/stored-kinds.ts";
import { encodeStored } from "../jobs/stored.ts";
import { countsOf } from "./counts.ts";
import { LedgerReader } from "./ledger-reader.ts";
import type { SplitReader } from "./split-reader.ts";
import { WinningRows } from "./winning-rows.ts";

/** What is final of a job, as functions of its cut: the same whoever computes it, however often. */
export class FinalResults {
  readonly counts: JobCounts;
  readonly #store: ObjectStore;
  readonly #spec: JobSpec;
  readonly #splits: SplitReader;
  readonly #reader: LedgerReader;
  readonly #results: WinningRows;
  readonly #errors: WinningRows;
  readonly #onStep: () => void;

  private constructor(
    store: ObjectStore,
    spec: JobSpec,
    splits: SplitReader,
    read: { reader: LedgerReader; results: WinningRows; errors: WinningRows },
    onStep: () => void,
  ) {
    this.#store = store;
    this.#spec = spec;
    this.#splits = splits;
    this.#reader = read.reader;
    this.#results = read.results;
    this.#errors = read.errors;
    this.#onStep = onStep;
    this.counts = countsOf(read.reader.fold.counts, splits);
  }

  /** Reads all ledgers up to the cut. `onStep` hears of every step of this and of `write`, so that a long job shows life. */
  static async read(
    store: ObjectStore,
    spec: JobSpec,
    splits: SplitReader,
    cut: Cut,
    onStep: () => void = () => undefined,
  ): Promise<FinalResults> {
    const reader: LedgerReader = new LedgerReader({
      store,
      api: spec.api,
      job: spec.job,
      attempts: spec.attempts,
      itemsOf: (batch) => splits.itemsOf(batch),
      batchesEnd: splits.batches,
      cut,
      onStep,
      onOutcome: (ledger, line, wins) => {
        if (!wins) return;
        results.note(ledger, line);
        errors.note(ledger, line);
      },
    });
    const results = new WinningRows((line) => line.rows);
    const errors = new WinningRows((line) => line.errors);
    await reader.refreshVerdicts();
    await reader.refreshLedgers();
    return new FinalResults(store, spec, splits, { reader, results, errors }, onStep);
  }

  /** Settled batches of which no item succeeded, from this one on. */
  *failedBatches(from: number): Generator<number, void> {
    const { fold } = this.#reader;
    for (let batch = from; batch < this.#splits.batches; batch += 1) {
      if (fold.isSettled(batch) && (fold.winner(batch)?.result ?? "none") === "none") yield batch;
    }
  }

  /** Writes parts, index and manifest; each is put-if-absent, so that doing it again changes nothing. */
  async write(): Promise<Manifest> {
    const spec = this.#spec;
    const { batches, items } = this.#splits;
    const results = await this.#writeResults();
    await this.#writeIndex();
    const settled = this.counts.batches_succeeded + this.counts.batches_failed;
    const manifest: Manifest = {
      format: JOB_FORMAT,
      job: spec.job,
      api: spec.api,
      version: spec.version,
      counts: this.counts,
      skipped: {
        batches: batches - settled,
        items: items - this.counts.items_succeeded - this.counts.items_failed,
        input_remaining: this.#splits.end?.complete !== true,
      },
      results,
      errors: await this.#writeErrors(),
      splits: this.#splits.splits,
    };
    await this.#store.put(this.#keys.manifest, encodeStored(manifest));
    return manifest;
  }

  get #keys() {
    return jobKeys(this.#spec.api, this.#spec.job);
  }

  /** Sealed parts whose every row won are used as they lie; of the others the winning rows are copied. */
  async #writeResults(): Promise<ManifestPart[]> {
    const parts: ManifestPart[] = [];
    const byPart = this.#results.byPart();
    for (const [index, { worker, part }] of this.#results.parts.entries()) {
      const batches = byPart[index] ?? [];
      if (batches.length === 0) continue;
      const key = this.#keys.results(worker, part);
      const sealed = this.#sealed(worker, part, "results");
      const bytes = batches.reduce((sum, batch) => sum + this.#bytesOf(batch), 0);
      if (sealed?.bytes === bytes) {
        for (const batch of batches) this.#results.place(batch, parts.length, this.#results.of(batch)?.start ?? 0);
        parts.push({ key, bytes, rows: sealed.rows, sha256: sealed.sha256 });
      } else {
        parts.push(await this.#copyPart(key, `${worker}-${String(part)}.ndjson`, batches, parts.length));
      }
    }
    return parts;
  }

  #bytesOf(batch: number): number {
    const range = this.#results.of(batch);
    return range === undefined ? 0 : range.end - range.start;
  }

  async #copyPart(from: string, name: string, batches: readonly number[], index: number): Promise<ManifestPart> {
    const source = await this.#store.get(from);
    if (source === undefined) throw new DamagedObject(from, "is gone");
    const pieces: Buffer[] = [];
    let start = 0;
    let rows = 0;
    for (const batch of batches) {
      const range = this.#results.of(batch);
      if (range === undefined) continue;
      const piece = source.bytes.subarray(range.start, range.end);
      if (piece.length < range.end - range.start) {
        throw new DamagedObject(from, `has ${String(source.sizeBytes)} bytes, and rows up to byte ${String(range.end)} were recorded in it`); // prettier-ignore
      }
      if (rowsIn(piece) !== range.rows)
        throw new DamagedObject(from, "does not hold the rows that were recorded in it");
      pieces.push(piece);
      this.#results.place(batch, index, start);
      start += piece.length;
      rows += range.rows;
    }
    return this.#putPart(this.#keys.part(name), Buffer.concat(pieces), rows);
  }

  async #putPart(key: string, bytes: Buffer, rows: number): Promise<ManifestPart> {
    await this.#store.put(key, bytes);
    this.#onStep();
    return { key, bytes: bytes.length, rows, sha256: createHash("sha256").update(bytes).digest("hex") };
  }

  #sealed(worker: string, part: number, of: SealedLine["of"]): SealedLine | undefined {
    return this.#reader.workers.get(worker)?.sealed.find((line) => line.part === part && line.of === of);
  }

  async #writeIndex(): Promise<void> {
    let first = 0;
    for (let split = 0; split < this.#splits.splits; split += 1) {
      const count = Math.min(batchesInSplit(split), this.#splits.batches - first);
      const batches = Array.from({ length: count }, (_, offset) => {
        const range = this.#results.of(first + offset);
        return range === undefined ? null : ([range.part, range.start, range.end, range.rows] as const);
      });
      const index: SplitIndex = { split, batches };
      await this.#store.put(this.#keys.index(split), encodeStored(index));
      this.#onStep();
      first += count;
    }
  }

  async #writeErrors(): Promise<ManifestPart[]> {
    const parts: ManifestPart[] = [];
    let pieces: Buffer[] = [];
    let rows = 0;
    let bytes = 0;
    const flush = async () => {
      if (rows === 0) return;
      const key = this.#keys.part(`errors-${String(parts.length).padStart(8, "0")}.ndjson`);
      parts.push(await this.#putPart(key, Buffer.concat(pieces), rows));
      pieces = [];
      rows = 0;
      bytes = 0;
    };
    const { fold } = this.#reader;
    for (let batch = 0; batch < this.#splits.batches && this.counts.items_failed > 0; batch += 1) {
      if (!fold.isSettled(batch) || fold.failedItems(batch) === 0) continue;
      const errors = await this.#errorRows(batch);
      this.#onStep();
      for (const row of errors) {
        const line = Buffer.from(`${JSON.stringify(row)}\n`);
        pieces.push(line);
        rows += 1;
        bytes += line.length;
      }
      if (bytes >= LIMITS.partBytesMax) await flush();
    }
    await flush();
    return parts;
  }

  async #errorRows(batch: number): Promise<ErrorRow[]> {
    const attempts = Math.max(1, this.#reader.fold.failedAttempts(batch));
    const range = this.#errors.of(batch);
    const from = this.#errors.parts[range?.part ?? -1];
    if (range === undefined || from === undefined) {
      const { pointer, firstItem } = await this.#splits.pointer(batch);
      return diedRows(batch, firstItem, pointer, attempts);
    }
    const key = this.#keys.errors(from.worker, from.part);
    const found = await this.#store.get(key, range);
    if (found === undefined) throw new DamagedObject(key, "is gone");
    const lines = found.bytes.toString("utf8").trimEnd().split("\n");
    return lines.flatMap((line) => errorRows(parseStoredLine<AttemptErrors>(key, line, ATTEMPT_ERRORS), attempts));
  }
}

function rowsIn(bytes: Buffer): number {
  let rows = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) rows += 1;
  return rows;
}

const NEWLINE = 10;
