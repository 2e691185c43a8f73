/** What lies under each key, as its readers need it, and what to do when it is not so. One row for each kind of `keys.ts`. */
import { anything, both, byWord, count, fields, flag, listOf, mapOf, nullOr, number, oneOf, optional, text, whole, type Shape } from "./shapes.ts"; // prettier-ignore
import { RETENTION_STATES } from "./retention.ts";
import { JOB_STATES } from "./states.ts";

interface StoredKind {
  /** Matches the whole key. */
  readonly key: RegExp;
  /** Of the one JSON value that it holds; absent: bytes, or lines that are checked one by one. */
  readonly shape?: Shape;
  readonly mend: string;
}

const RESTORE = "restore it from a backup";
const AGAIN = `${RESTORE}, or submit the job again`;
const STOP = `${RESTORE}, or stop the job and submit it again`;
const DEPLOY = `${RESTORE}, or deploy the API again`;

const anObject: Shape = mapOf(anything);
const counts = fields({
  ...{ batches: count, items: count, complete: flag, batches_succeeded: count, batches_failed: count },
  ...{ items_succeeded: count, items_failed: count, attempts_failed: count, handler_seconds: number },
});
const place = fields({ lane: count, epoch: count, term: count });
const paths = fields({ paths: listOf(text), includes: listOf(text), excludes: listOf(text) });
const cause = both(
  fields({ kind: oneOf(["settled", "stopped", "timed_out", "failed"]) }),
  byWord("kind", { failed: fields({ reason: text, message: text }) }),
);
const warnings = optional(listOf(text));
const live = fields({ counts, splitting: flag, message: text, workers: mapOf(count), warnings });
const current = fields({ version: text, generation: count });
const part = fields({ key: text, bytes: count, rows: count, sha256: text });
const source = fields({ uri: text, etag: text, format: oneOf(["lines", "array", "concatenated"]) });

const spec = fields({
  ...{ format: count, job: text, api: text, hosted: optional(text), version: text, submission: text },
  ...{ accepted_at: number, workers: whole(1), config: anObject, timeout_seconds: nullOr(number) },
  input: both(
    fields({ kind: text, batch_size: whole(1) }),
    byWord("kind", {
      item_list: fields({ items: count, bytes: count }),
      file_path_lister: paths,
      delimited_files: paths,
      retry: fields({ retry_of: text, root: text, retried: text, remaining: flag }),
    }),
  ),
  ...{ attempts: whole(1), isolate: flag, batch_timeout_seconds: nullOr(number), priority: number },
  ...{ labels: mapOf(text), dead_letter_queue: nullOr(fields({ arn: text, max_receive_count: whole(1) })) },
  warnings: listOf(text),
});

const state = fields({
  ...{ format: count, state: oneOf(JOB_STATES), cause: nullOr(cause), lane: nullOr(place), sent_through: count },
  ...{ counts: nullOr(counts), message: text, live: optional(nullOr(live)), at: mapOf(number), writes: count },
  warnings,
});

const completion = both(
  fields({ opening: whole(1), writes: count, state: oneOf(["open", "claimed", "done", "failed", "closed"]) }),
  byWord("state", {
    claimed: fields({ worker: text }),
    done: fields({ worker: nullOr(text) }),
    failed: fields({ worker: text, error: text, traceback: text }),
    closed: fields({ cause: oneOf(["stopped", "timed_out", "failed"]) }),
  }),
);

const split = fields({
  ...{ format: count, split: count, first_batch: count, first_item: count, sources: listOf(source) },
  ...{ batches: listOf(pointers), origins: optional(listOf(count)), cursor: anything },
});

/** `[source, start, end, items, …]`: looked at number by number in one loop, because there are thousands of them. */
function pointers(value: unknown, at: string): string | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length % 4 !== 0) return `${at} is no list of fours`;
  for (const one of value) if (!Number.isSafeInteger(one) || one < 0) return `${at} holds what is no count`;
  return undefined;
}

const lane = fields({
  ...{ epoch: count, term: count, job: nullOr(text), owner: text, beat: count, keep: mapOf(count) },
  ...{ hand: number, stop: flag, writes: count, stood_down: optional(count) },
});

const version = fields({
  ...{ format: count, api: text, version: text, project: text, environment: nullOr(text), worker_format: count },
  created_at: nullOr(number),
  spec: fields({
    ...{ handler: fields({ kind: text }), config: anObject, env: mapOf(text), workers: whole(1), batch_size: whole(1) },
    ...{ attempts: whole(1), isolate: flag, batch_timeout_seconds: nullOr(number) },
  }),
});

const manifest = fields({
  ...{ format: count, job: text, api: text, version: text, counts, results: listOf(part), errors: listOf(part) },
  ...{ skipped: fields({ batches: count, items: count, input_remaining: flag }), splits: count },
});

const retention = fields({
  ...{ format: count, state: oneOf(RETENTION_STATES), at: number, setting: text, days: number, writes: count },
});

const row = (value: unknown, at: string) => {
  const isRow = Array.isArray(value) && value.length === 4 && value.every((one) => Number.isSafeInteger(one));
  return isRow ? undefined : `${at} is no place of rows`;
};

const API = "^apis/[^/]+/";
const JOB = `${API}jobs/[^/]+/`;

/** In the order of `keys.ts`. */
export const STORED_KINDS = {
  current: { key: new RegExp(`${API}current\\.json$`), shape: current, mend: DEPLOY },
  hosted: {
    key: new RegExp(`${API}hosted\\.json$`),
    shape: fields({ apis: mapOf(current), writes: count }),
    mend: RESTORE,
  },
  version: { key: new RegExp(`${API}versions/[^/]+\\.json$`), shape: version, mend: DEPLOY },
  project: { key: new RegExp(`${API}projects/[^/]+$`), mend: DEPLOY },
  environmentEnd: {
    key: new RegExp(`${API}environments/[^/]+/end\\.json$`),
    shape: fields({ format: count, builder: text, parts: count, bytes: count, folder: text }),
    mend: DEPLOY,
  },
  environmentPart: { key: new RegExp(`${API}environments/[^/]+/[^/]+$`), mend: DEPLOY },
  idempotency: {
    key: new RegExp(`${API}keys/[^/]+$`),
    shape: fields({ job: text, submission: text, body: text }),
    mend: `${RESTORE}, or submit with another Idempotency-Key`,
  },
  active: { key: new RegExp(`${API}active/[^/]+$`), mend: "put an empty object there, or submit the job again" },
  ended: { key: new RegExp(`${API}ended/[^/]+/[^/]+$`), mend: "put an empty object there" },
  unneeded: {
    key: new RegExp(`${API}unneeded\\.json$`),
    shape: fields({ code: mapOf(fields({ since: number, removing: optional(number) })), writes: count }),
    mend: "remove it: the janitor begins to count anew",
  },
  lane: { key: new RegExp(`${API}lanes/[^/]+\\.json$`), shape: lane, mend: "it is begun anew with the next job" },
  spec: { key: new RegExp(`${JOB}spec\\.json$`), shape: spec, mend: STOP },
  state: { key: new RegExp(`${JOB}state\\.json$`), shape: state, mend: STOP },
  stop: { key: new RegExp(`${JOB}stop\\.json$`), mend: AGAIN },
  retry: { key: new RegExp(`${JOB}retries/[^/]+$`), mend: "put an empty object there" },
  completion: { key: new RegExp(`${JOB}completion\\.json$`), shape: completion, mend: AGAIN },
  items: { key: new RegExp(`${JOB}input/items-[^/]+$`), mend: AGAIN },
  listingEnd: {
    key: new RegExp(`${JOB}input/listing-end\\.json$`),
    shape: fields({ parts: count, objects: count, bytes: count }),
    mend: AGAIN,
  },
  listing: { key: new RegExp(`${JOB}input/listing-[^/]+$`), mend: AGAIN },
  splitEnd: {
    key: new RegExp(`${JOB}splits/end\\.json$`),
    shape: fields({ format: count, complete: flag, splits: count, batches: count, items: count }),
    mend: AGAIN,
  },
  split: { key: new RegExp(`${JOB}splits/[^/]+\\.json$`), shape: split, mend: AGAIN },
  ledger: { key: new RegExp(`${JOB}ledger/[^/]+$`), mend: AGAIN },
  results: { key: new RegExp(`${JOB}results/[^/]+$`), mend: AGAIN },
  errors: { key: new RegExp(`${JOB}errors/[^/]+$`), mend: AGAIN },
  verdict: { key: new RegExp(`${JOB}verdicts/[^/]+$`), mend: AGAIN },
  isolated: { key: new RegExp(`${JOB}isolation/[^/]+/[^/]+$`), mend: "remove it: what is not known is run again" },
  cut: {
    key: new RegExp(`${JOB}cut\\.json$`),
    shape: fields({ format: count, ledgers: mapOf(count), verdicts: mapOf(count) }),
    mend: AGAIN,
  },
  deadLetters: {
    key: new RegExp(`${JOB}dead-letters\\.json$`),
    shape: fields({ through: count, sent: count, unsent: count, cause: text, ended: flag, writes: count }),
    mend: AGAIN,
  },
  part: { key: new RegExp(`${JOB}parts/[^/]+$`), mend: AGAIN },
  index: {
    key: new RegExp(`${JOB}index/[^/]+\\.json$`),
    shape: fields({ split: count, batches: listOf(nullOr(row)) }),
    mend: AGAIN,
  },
  manifest: { key: new RegExp(`${JOB}manifest\\.json$`), shape: manifest, mend: AGAIN },
  retention: {
    key: new RegExp(`${JOB}retention\\.json$`),
    shape: retention,
    mend: `${RESTORE}; results stay until then`,
  },
} as const satisfies Record<string, StoredKind>;

export type StoredKindName = keyof typeof STORED_KINDS;

const KINDS: readonly StoredKind[] = Object.values(STORED_KINDS);

/** Undefined for a key that no part of this service writes. */
export function storedKind(key: string): StoredKind | undefined {
  return KINDS.find((kind) => kind.key.test(key));
}

/** Lines of objects that hold several, each a JSON value. */
export const STAGED_OBJECT = fields({ uri: text, size: count, etag: text });
export const LISTING_HEAD = fields({
  next: nullOr(fields({ path: count, after: nullOr(text) })),
  ...{ objects: count, bytes: count },
});
export const ATTEMPT_ERRORS = fields({
  ...{ batch: count, attempt: whole(1), cause: text, error: text, traceback: text },
  ...{ items: listOf(row), uris: listOf(text) },
});
export const ERROR_ROW = fields({
  ...{ index: count, batch: count, attempts: count, cause: text, error: text, traceback: text },
  at: fields({ uri: text, start: count, end: count }),
});
