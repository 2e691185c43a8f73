/**
 * Results of a family of jobs, read as one: a submitted job, its retries, theirs, and so on. Each item of the root stands there
 * once, under its index in the root, with its newest success; its errors are the newest ones of items that never succeeded.
 * Jobs of the family that have not ended are left out. Flat memory: one window a job, whatever their sizes.
 */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, rootOf, type ErrorRow, type JobSpec } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { isFinal } from "../../protocol/states.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { OriginReader, SettledOrigins } from "./family-origins.ts";
import { jobErrors, jobResults, type RowsDeps } from "./results.ts";
import { linesOf } from "./row-ranges.ts";
import { readState } from "./state-record.ts";
import { readObject } from "./stored.ts";

/** Rows of all jobs of a family that are in memory at a time. */
const WINDOWS_BYTES = 8 * 1024 * 1024;
const WINDOW_BYTES_MIN = 128 * 1024;
/** Rows are handed on in pieces of about this size. */
const PIECE_BYTES = 64 * 1024;

/** The ended jobs of a job's family, oldest first. Throws `Problem` (job_not_found) when its root is gone. */
async function familyOf(store: ObjectStore, spec: JobSpec): Promise<readonly JobSpec[]> {
  const { api } = spec;
  const root = jobKeys(api, rootOf(spec));
  const jobs = [rootOf(spec)];
  for (let after: string | undefined, more = true; more;) {
    const page = await store.list(root.retries, after === undefined ? {} : { after });
    for (const { key } of page.entries) jobs.push(key.slice(root.retries.length));
    after = page.next;
    more = after !== undefined;
  }
  const family: JobSpec[] = [];
  for (const job of jobs) {
    const found = await readObject<JobSpec>(store, jobKeys(api, job).spec, JOB_FORMAT);
    // A marker whose job was never written: its acceptance was given up.
    if (found !== undefined && isFinal((await readState(store, api, job)).state.state)) family.push(found);
  }
  return family.sort((a, b) => a.accepted_at - b.accepted_at || (a.job < b.job ? 1 : -1));
}

interface Head<Row> {
  readonly origin: number;
  readonly row: Row;
}

/** Managed results. */
export async function* familyResults(deps: RowsDeps, spec: JobSpec, signal: AbortSignal): AsyncGenerator<Buffer> {
  const family = await familyOf(deps.store, spec);
  const windowBytes = Math.max(WINDOW_BYTES_MIN, Math.floor(WINDOWS_BYTES / Math.max(1, family.length)));
  const streams = family.map((member) => {
    return headsOf(
      deps.store,
      member,
      linesOf(jobResults(deps, member, { follow: false, signal, windowBytes })),
      indexOf,
    );
  });
  let piece: string[] = [];
  let bytes = 0;
  for await (const rows of merged(streams)) {
    const newest = rows.findLast((row) => row !== undefined);
    if (newest === undefined) continue;
    const line = `{"index":${String(newest.origin)},${newest.row.slice(newest.row.indexOf(",") + 1)}\n`;
    piece.push(line);
    bytes += line.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.from(piece.join(""));
    [piece, bytes] = [[], 0];
  }
  if (piece.length > 0) yield Buffer.from(piece.join(""));
}

/** Workers write `{"index":N,…}`, the index first. */
function indexOf(line: string): number {
  return Number(line.slice('{"index":'.length, line.indexOf(",")));
}

/** An error row of a family: `index` counts in the root, `batch` in `job`. */
export type FamilyErrorRow = ErrorRow & { readonly job: string };

/** Items that failed in some job of the family, and succeeded in none. */
export async function* familyErrors(
  deps: RowsDeps,
  spec: JobSpec,
  signal: AbortSignal,
): AsyncGenerator<FamilyErrorRow> {
  const family = await familyOf(deps.store, spec);
  const settled = family.map((member) => new SettledOrigins(deps.store, member));
  const streams = family.map((member) => {
    return headsOf(deps.store, member, jobErrors(deps, member, { follow: false, signal }), ({ index }) => index);
  });
  for await (const rows of merged(streams)) {
    const newest = rows.findLastIndex((row) => row !== undefined);
    const [head, job] = [rows[newest], family[newest]?.job];
    if (head === undefined || job === undefined) continue;
    let succeeded = false;
    for (const [at, row] of rows.entries()) {
      if (row === undefined && (await settled[at]?.has(head.origin)) === true) succeeded = true;
    }
    if (!succeeded) yield { ...head.row, index: head.origin, job };
  }
}

async function* headsOf<Row>(
  store: ObjectStore,
  spec: JobSpec,
  rows: AsyncIterable<Row>,
  indexOfRow: (row: Row) => number,
): AsyncGenerator<Head<Row>> {
  const origins = new OriginReader(store, spec);
  for await (const row of rows) {
    const index = indexOfRow(row);
    if (!Number.isSafeInteger(index))
      throw new DamagedObject(jobKeys(spec.api, spec.job).parts, "holds a row without an index");
    yield { origin: await origins.of(index), row };
  }
}

/** For each origin that some stream has, in ascending order: its row of each stream. Streams ascend, and name no origin twice. */
async function* merged<Row>(
  streams: readonly AsyncGenerator<Head<Row>>[],
): AsyncGenerator<readonly (Head<Row> | undefined)[]> {
  const heads: (Head<Row> | undefined)[] = [];
  const advance = async (at: number) => {
    const next = await streams[at]?.next();
    heads[at] = next === undefined || next.done === true ? undefined : next.value;
  };
  try {
    for (const at of streams.keys()) await advance(at);
    for (;;) {
      const origin = heads.reduce((least, head) => Math.min(least, head?.origin ?? Infinity), Infinity);
      if (origin === Infinity) return;
      yield heads.map((head) => (head?.origin === origin ? head : undefined));
      for (const [at, head] of heads.entries()) if (head?.origin === origin) await advance(at);
    }
  } finally {
    for (const stream of streams) await stream.return(undefined);
  }
}
