/**
 * A job as its objects lie in a store, with ledgers written by hand: seven items in four batches of two, two attempts.
 * Batch 0 succeeds at worker A, batch 1 loses item 3 at B, batch 2 fails once at B and succeeds at A, batch 3 fails twice.
 */
import { createHash } from "node:crypto";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { FinalResults } from "../../services/batch-api/driver/manifest.ts";
import { SplitReader } from "../../services/batch-api/driver/split-reader.ts";
import { swapState, readState, type StateChange } from "../../services/batch-api/jobs/state-record.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { JOB_FORMAT, type Cut, type JobSpec } from "../../services/protocol/jobs.ts";
import { apiKeys, jobKeys, workerName } from "../../services/protocol/keys.ts";
import { EMPTY_LANE } from "../../services/protocol/lanes.ts";
import { encodeLine, LEDGER_FORMAT, type LedgerLine } from "../../services/protocol/ledger.ts";
import { SPLIT_FORMAT } from "../../services/protocol/pointers.ts";
import { aJobSpec } from "./builders.ts";

export const WORKER_A = workerName(1, 1, 0, "aa");
export const WORKER_B = workerName(1, 1, 1, "bb");
export const ITEMS = 7;

export const JOB: JobSpec = aJobSpec({ input: { kind: "item_list", batch_size: 2, items: ITEMS, bytes: 2 * ITEMS } });
const KEYS = jobKeys(JOB.api, JOB.job);

const row = (index: number) => `{"index":${String(index)},"result":"r${String(index)}"}\n`;
const failure = (batch: number, index: number, attempt: number) =>
  `${JSON.stringify({ batch, attempt, cause: "raised", error: "boom", traceback: "tb", items: [[index, 0, 2 * index, 2 * index + 1]], uris: [`store:${KEYS.items(0)}`] })}\n`;

export const ROWS_A = row(0) + row(1) + row(4) + row(5);
export const ROWS_B = row(2);
const ERRORS_A = failure(3, 6, 2);
const ERRORS_B = failure(1, 3, 1) + failure(2, 4, 1) + failure(3, 6, 1);

const r = row(0).length;
/** Where the failures of worker B end, one after the other. */
const [b1, b2, b3] = [failure(1, 3, 1), failure(1, 3, 1) + failure(2, 4, 1), ERRORS_B].map((text) => text.length) as [
  number,
  number,
  number,
];
const ok = { t: "outcome", result: "all", items: 2, failed: 0, seconds: 0.5 } as const;
const none = { t: "outcome", result: "none", attempt: 1, seconds: 0.25, cause: "raised" } as const;

export const LEDGER_A: readonly LedgerLine[] = [
  { t: "worker", format: LEDGER_FORMAT, worker: WORKER_A },
  { t: "ready", hook: true },
  { ...ok, batch: 0, attempt: 1, rows: { part: 0, start: 0, end: 2 * r, rows: 2 } },
  { t: "held", held: [[2, 3]], started: [2], polled: 3 },
  { ...ok, batch: 2, attempt: 2, rows: { part: 0, start: 2 * r, end: 4 * r, rows: 2 } },
  { ...none, attempt: 2, batch: 3, items: 1, failed: 1, errors: { part: 0, start: 0, end: ERRORS_A.length, rows: 1 } },
  { t: "sealed", of: "results", part: 0, bytes: 4 * r, rows: 4, sha256: sha256(ROWS_A) },
  { t: "left", why: "no more work" },
];

export const LEDGER_B: readonly LedgerLine[] = [
  { t: "worker", format: LEDGER_FORMAT, worker: WORKER_B },
  { t: "ready", hook: true },
  {
    ...ok,
    result: "some",
    failed: 1,
    batch: 1,
    attempt: 1,
    rows: { part: 0, start: 0, end: r, rows: 1 },
    errors: { part: 0, start: 0, end: b1, rows: 1 },
  },
  { ...none, batch: 2, items: 2, failed: 2, errors: { part: 0, start: b1, end: b2, rows: 1 } },
  { ...none, batch: 3, items: 1, failed: 1, errors: { part: 0, start: b2, end: b3, rows: 1 } },
];

export interface JobParts {
  readonly ledgerA: readonly LedgerLine[];
  readonly ledgerB: readonly LedgerLine[];
}

/** Input, split, ledgers and rows of the job while it runs; its lane is 0, epoch 1. */
export async function aRunningJob(store: ObjectStore, parts: Partial<JobParts> = {}): Promise<void> {
  const { api, job } = JOB;
  await store.put(KEYS.spec, encodeStored(JOB));
  await store.put(KEYS.items(0), Buffer.from("0\n1\n2\n3\n4\n5\n6\n"));
  await store.put(apiKeys(api).activeJob(job), Buffer.from("{}"));
  await putSplit(store);
  await store.append(KEYS.results(WORKER_A, 0), Buffer.from(ROWS_A), 0);
  await store.append(KEYS.results(WORKER_B, 0), Buffer.from(ROWS_B), 0);
  await store.append(KEYS.errors(WORKER_A, 0), Buffer.from(ERRORS_A), 0);
  await store.append(KEYS.errors(WORKER_B, 0), Buffer.from(ERRORS_B), 0);
  await store.append(KEYS.ledger(WORKER_A, 0), ledgerBytes(parts.ledgerA ?? LEDGER_A), 0);
  await store.append(KEYS.ledger(WORKER_B, 0), ledgerBytes(parts.ledgerB ?? LEDGER_B), 0);
  await store.swap(
    apiKeys(api).lane(0),
    encodeStored({ ...EMPTY_LANE, epoch: 1, term: 1, job, owner: "me" }),
    undefined,
  );
  await changeState(store, { state: "running", lane: { lane: 0, epoch: 1, term: 1 }, sent_through: 4 });
}

/** The same job, ended: two of four batches failed in part or whole. */
export async function anEndedJob(store: ObjectStore, parts: Partial<JobParts> = {}): Promise<void> {
  await aRunningJob(store, parts);
  await endJob(store);
}

/** What a driver does once all is settled. */
export async function endJob(store: ObjectStore): Promise<void> {
  const { api, job } = JOB;
  await changeState(store, { state: "completing", cause: { kind: "settled" } });
  const cut: Cut = { format: JOB_FORMAT, ledgers: {}, verdicts: {} };
  for (const { key, sizeBytes } of (await store.list(KEYS.ledgers)).entries)
    Object.assign(cut.ledgers, { [key]: sizeBytes });
  await store.put(KEYS.cut, encodeStored(cut));
  const splits = new SplitReader(store, api, job, JOB.input.batch_size);
  await splits.refresh();
  const final = await FinalResults.read(store, JOB, splits, cut);
  await final.write();
  await store.swap(
    KEYS.completion,
    encodeStored({ opening: 1, writes: 3, state: "done", worker: WORKER_A }),
    undefined,
  );
  await changeState(store, { state: "completed_with_failures", counts: final.counts });
  await store.put(apiKeys(api).endedJob("completed_with_failures", job), Buffer.from("{}"));
  const lane = await store.read(apiKeys(api).lane(0));
  await store.swap(apiKeys(api).lane(0), encodeStored({ ...EMPTY_LANE, epoch: 1, term: 1, writes: 9 }), lane?.version);
  await store.delete(apiKeys(api).activeJob(job));
}

export async function changeState(store: ObjectStore, change: StateChange): Promise<void> {
  await swapState(store, JOB.api, JOB.job, await readState(store, JOB.api, JOB.job), change);
}

export function ledgerBytes(lines: readonly LedgerLine[]): Buffer {
  return Buffer.from(lines.map(encodeLine).join(""));
}

async function putSplit(store: ObjectStore): Promise<void> {
  const batches = [0, 1, 2, 3].map((batch) => [0, 4 * batch, Math.min(4 * batch + 4, 2 * ITEMS), batch === 3 ? 1 : 2]);
  const sources = [{ uri: `store:${KEYS.items(0)}`, etag: "", format: "lines" }];
  const numbers = { split: 0, first_batch: 0, first_item: 0 };
  await store.put(KEYS.split(0), encodeStored({ format: SPLIT_FORMAT, ...numbers, sources, batches, cursor: null }));
  const totals = { complete: true, splits: 1, batches: 4, items: ITEMS };
  await store.put(KEYS.splitEnd, encodeStored({ format: SPLIT_FORMAT, ...totals }));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
