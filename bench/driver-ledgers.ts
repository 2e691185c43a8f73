/**
 * G14: what a driver's looks cost when a thousand workers write ledgers to S3. The writers are simulated: between two looks those
 * whose turn it is append what a worker that settles a batch a second has to say after its pause of 20 s. Only the looks' CPU
 * time is counted, and only this process's. The peer is a bare loop of the SDK that lists the ledgers, reads what has grown and
 * parses it, and decides nothing.
 */
import { GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { realClock } from "../services/backends/clock.real.ts";
import { S3Store } from "../services/backends/object-store.s3.ts";
import { RequestCounts } from "../services/backends/s3/request-counts.ts";
import type { WorkerPool } from "../services/backends/worker-pool.ts";
import type { DriverDeps } from "../services/batch-api/driver/context.ts";
import { JobState } from "../services/batch-api/driver/job-state.ts";
import { LaneLease, readLane } from "../services/batch-api/driver/lane-lease.ts";
import { RunningJob } from "../services/batch-api/driver/running-job.ts";
import { tick } from "../services/batch-api/driver/tick.ts";
import { JOB_FORMAT, type JobSpec } from "../services/protocol/jobs.ts";
import { apiKeys, jobKeys, workerName } from "../services/protocol/keys.ts";
import { EMPTY_LANE } from "../services/protocol/lanes.ts";
import { encodeLine, LEDGER_FORMAT, type LedgerLine } from "../services/protocol/ledger.ts";
import { batchesInSplit, SPLIT_FORMAT, type SplitEnd, type SplitFile } from "../services/protocol/pointers.ts";
import { startBenchS3, type BenchS3 } from "./peers/s3-server.ts";
import { rowOf } from "./rounds.ts";
import type { BenchRow } from "./row.ts";

const WORKERS = 1_000;
/** A worker of so many flushes every workers / 50 seconds. */
const FLUSH_SECONDS = WORKERS / 50;
const LOOKS = 8;
const SPLITS = 8;
const API = "bench";
const JOB = "00000000000000aa";
const KEYS = jobKeys(API, JOB);
const IN_FLIGHT = 32;

const SPEC: JobSpec = {
  ...{ format: JOB_FORMAT, job: JOB, api: API, version: "v1", submission: "5".repeat(32), accepted_at: 0 },
  ...{ workers: WORKERS, config: {}, timeout_seconds: null, attempts: 3, isolate: true, batch_timeout_seconds: null },
  ...{ priority: 0, labels: {}, dead_letter_queue: null, warnings: [] },
  input: { kind: "item_list", batch_size: 1, items: 1, bytes: 300 },
};

/** A ledger and its writer. */
interface Writer {
  readonly key: string;
  bytes: number;
}

export async function g14(): Promise<BenchRow[]> {
  const server = await startBenchS3();
  try {
    return await measured(server);
  } finally {
    await server.stop();
  }
}

async function measured({ access, bucket }: BenchS3): Promise<BenchRow[]> {
  const counts = new RequestCounts();
  const writing = new S3Store({ bucket, access });
  const store = new S3Store({ bucket, access, onRequest: counts.note });
  const client = new S3Client({ ...access, forcePathStyle: true });
  const writers = await beginLedgers(writing);
  await layOut(writing);
  const job = await runningJob(store);
  const peer = new Map<string, number>();
  await tick(job); // takes in what every ledger begins with, and sends all
  await bareLook(client, bucket, peer);
  const pairs: { readonly ours: number; readonly theirs: number }[] = [];
  const before = requestsOf(counts);
  for (let look = 0; look < LOOKS; look += 1) {
    await growLedgers(writing, writers, look);
    const theirs = await cpuMs(() => bareLook(client, bucket, peer));
    pairs.push({ theirs, ours: await cpuMs(() => tick(job)) });
  }
  const perLook = (requestsOf(counts) - before) / LOOKS;
  client.destroy();
  const settled = job.ledgers.fold.counts.batchesSucceeded;
  if (settled !== LOOKS * WORKERS)
    throw new Error(`${String(settled)} batches were folded, not ${String(LOOKS * WORKERS)}`);
  const what = "a driver's look a second at the ledgers of 1,000 workers that settle 1,000 batches a second";
  return [
    rowOf({ id: "G14", unit: "ms of CPU", bar: "<= 1.5", what: `${what}, over a bare loop of the SDK` }, pairs),
    rowOf(
      { id: "G14", unit: "ms of CPU", bar: "<= 0.5", what: `${what}, over a core` },
      pairs.map(({ ours }) => ({ ours, theirs: 1_000 })),
    ),
    rowOf(
      {
        id: "G14",
        unit: "requests/s",
        bar: "<= 0.02",
        what: `${what}, over the 5,500 reads a second of a prefix in S3`,
      },
      [{ ours: perLook, theirs: 5_500 }],
    ),
  ];
}

function requestsOf({ puts, gets, heads, lists, deletes }: RequestCounts): number {
  return puts + gets + heads + lists + deletes;
}

async function cpuMs(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Job, lane and split files: as a splitter and a grant leave them. */
async function layOut(store: S3Store): Promise<void> {
  const lane = { ...EMPTY_LANE, epoch: 1, term: 1, job: JOB, owner: "bench", keep: { "1": WORKERS }, writes: 1 };
  await store.swap(apiKeys(API).lane(0), Buffer.from(JSON.stringify(lane)), undefined);
  await store.put(KEYS.spec, Buffer.from(JSON.stringify(SPEC)));
  let first = 0;
  for (let split = 0; split < SPLITS; split += 1) {
    const batches = Array.from({ length: batchesInSplit(split) }, (_, at) => [
      0,
      300 * (first + at),
      300 * (first + at + 1),
      1,
    ]);
    const sources = [{ uri: "s3://photos/part-0.jsonl", etag: '"0"', format: "lines" as const }];
    const file: SplitFile = {
      format: SPLIT_FORMAT,
      split,
      first_batch: first,
      first_item: first,
      sources,
      batches,
      cursor: null,
    };
    await store.put(KEYS.split(split), Buffer.from(JSON.stringify(file)));
    first += batches.length;
  }
  const end: SplitEnd = { format: SPLIT_FORMAT, complete: true, splits: SPLITS, batches: first, items: first };
  await store.put(KEYS.splitEnd, Buffer.from(JSON.stringify(end)));
}

async function runningJob(store: S3Store): Promise<RunningJob> {
  const held = await readLane(store, API, 0);
  if (held === undefined) throw new Error("the lane's record is gone");
  const state = await JobState.read(store, API, JOB, { lane: 0, epoch: 1, term: 1 });
  await state.write(() => ({ state: "running" }));
  const nothing = () => Promise.resolve();
  const poolWorkers = Array.from({ length: WORKERS }, (_, index) => {
    return { generation: 1, index, worker: nameOf(index), phase: "running" as const };
  });
  const pool: WorkerPool = {
    start: nothing,
    resize: nothing,
    stop: nothing,
    probe: nothing,
    workers: () => Promise.resolve(poolWorkers),
  };
  const queue = { leaseSeconds: 60, send: () => Promise.resolve([]), probe: nothing } as unknown as DriverDeps["queue"];
  const over = { step: () => Promise.resolve("end" as const), endEarly: nothing };
  const deps: DriverDeps = {
    ...{ store, queue, pool, clock: realClock, tickMs: 1_000, tickMinMs: 200 },
    splitterFor: () => over,
    say: () => undefined,
    log: { info: () => undefined, warn: () => undefined },
  };
  return new RunningJob(deps, SPEC, new LaneLease(store, API, held), state);
}

function nameOf(index: number): string {
  return workerName(1, 1, index, index.toString(16).padStart(8, "0"));
}

async function beginLedgers(store: S3Store): Promise<Writer[]> {
  const writers = Array.from({ length: WORKERS }, (_, index) => ({ key: KEYS.ledger(nameOf(index), 0), bytes: 0 }));
  await inParallel(writers, (writer, index) =>
    append(store, writer, [
      { t: "worker", format: LEDGER_FORMAT, worker: nameOf(index) },
      { t: "ready", hook: false },
    ]),
  );
  return writers;
}

/** Those whose turn it is in this second have settled a batch in each second since their last flush. */
async function growLedgers(store: S3Store, writers: readonly Writer[], look: number): Promise<void> {
  const turn = writers.filter((_, index) => index % FLUSH_SECONDS === look % FLUSH_SECONDS);
  await inParallel(turn, (writer, at) => {
    const batches = Array.from({ length: FLUSH_SECONDS }, (_, second) => look * WORKERS + at * FLUSH_SECONDS + second);
    const lines = batches.map((batch): LedgerLine => {
      const rows = { part: 0, start: 100 * batch, end: 100 * (batch + 1), rows: 1 };
      return { t: "outcome", batch, attempt: 1, result: "all", items: 1, failed: 0, seconds: 1.0123, rows };
    });
    const held = [[batches[0] ?? 0, batches.at(-1) ?? 0]] as const;
    return append(store, writer, [...lines, { t: "held", held, started: [], polled: 0 }]);
  });
}

async function append(store: S3Store, writer: Writer, lines: readonly LedgerLine[]): Promise<void> {
  const bytes = Buffer.from(lines.map(encodeLine).join(""));
  await store.append(writer.key, bytes, writer.bytes);
  writer.bytes += bytes.length;
}

async function inParallel<T>(items: readonly T[], work: (item: T, at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const loop = async () => {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as T, at);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
}

async function bareLook(client: S3Client, bucket: string, known: Map<string, number>): Promise<void> {
  for (let after = ""; ;) {
    const list = new ListObjectsV2Command({ Bucket: bucket, Prefix: KEYS.ledgers, StartAfter: after });
    const { Contents = [], IsTruncated = false } = await client.send(list);
    for (const { Key = "", Size = 0 } of Contents) {
      after = Key;
      const start = known.get(Key) ?? 0;
      if (Size <= start) continue;
      const Range = `bytes=${String(start)}-${String(Size - 1)}`;
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key, Range }));
      for (const line of ((await Body?.transformToString()) ?? "").split("\n")) if (line !== "") JSON.parse(line);
      known.set(Key, Size);
    }
    if (!IsTruncated) return;
  }
}
