import { describe, expect, it } from "vitest";
import { endCause, finalState } from "../../../services/batch-api/driver/finish.ts";
import { FinalResults } from "../../../services/batch-api/driver/manifest.ts";
import { SplitReader } from "../../../services/batch-api/driver/split-reader.ts";
import { endOfWaiting, endWaiting } from "../../../services/batch-api/driver/end-waiting.ts";
import { readState } from "../../../services/batch-api/jobs/state-record.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import type { CompletionRecord, Cut, JobCounts, Manifest, SplitIndex } from "../../../services/protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import type { LedgerLine } from "../../../services/protocol/ledger.ts";
import type { EndCause } from "../../../services/protocol/states.ts";
import {
  aRunningJob,
  changeState,
  JOB,
  LEDGER_A,
  LEDGER_B,
  ROWS_A,
  ROWS_B,
  WORKER_A,
  WORKER_B,
  type JobParts,
} from "../../support/a-job.ts";
import { aJobSpec } from "../../support/builders.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

const KEYS = jobKeys(JOB.api, JOB.job);

async function aCutJob(parts: Partial<JobParts> = {}): Promise<{ world: WatchedWorld; cut: Cut }> {
  const world = new WatchedWorld();
  await aRunningJob(world.memory, parts);
  const { entries } = await world.memory.list(KEYS.ledgers);
  const ledgers = Object.fromEntries(entries.map(({ key, sizeBytes }) => [key, sizeBytes]));
  return { world, cut: { format: 1, ledgers, verdicts: {} } };
}

async function written({ world, cut }: { world: WatchedWorld; cut: Cut }): Promise<Manifest> {
  const splits = new SplitReader(world.store, JOB.api, JOB.job, JOB.input.batch_size);
  await splits.refresh();
  return (await FinalResults.read(world.store, JOB, splits, cut)).write();
}

async function textOf(world: WatchedWorld, key: string): Promise<string> {
  return (await world.memory.get(key))?.bytes.toString() ?? "nothing";
}

describe("the results of a job", () => {
  it("use a sealed part whose every row won as it lies, and copy the others' winning rows", async () => {
    const job = await aCutJob();

    const { results } = await written(job);

    expect(results.map(({ key }) => key)).toEqual([KEYS.results(WORKER_A, 0), KEYS.part(`${WORKER_B}-0.ndjson`)]);
    expect(await textOf(job.world, KEYS.part(`${WORKER_B}-0.ndjson`))).toBe(ROWS_B);
    expect(results.map(({ rows, bytes }) => [rows, bytes])).toEqual([
      [4, ROWS_A.length],
      [1, ROWS_B.length],
    ]);
  });

  it("copy the winners of a sealed part in which other rows lie as well", async () => {
    const losing: LedgerLine[] = LEDGER_A.map((line) =>
      line.t === "outcome" && line.batch === 0 ? { ...line, batch: 2, attempt: 3 } : line,
    );
    const job = await aCutJob({ ledgerA: losing });

    const { results } = await written(job);

    expect(results[0]?.key).toBe(KEYS.part(`${WORKER_A}-0.ndjson`));
    expect(await textOf(job.world, KEYS.part(`${WORKER_A}-0.ndjson`))).toBe(ROWS_A.slice(ROWS_A.length / 2));
  });

  it("are found by the index, batch for batch, in the order of the input", async () => {
    const job = await aCutJob();
    const { results } = await written(job);

    const index = JSON.parse(await textOf(job.world, KEYS.index(0))) as SplitIndex;
    const rows: string[] = [];
    for (const place of index.batches) {
      if (place === null) continue;
      const [part, start, end] = place;
      rows.push((await textOf(job.world, results[part]?.key ?? "")).slice(start, end));
    }
    const indexes = rows
      .join("")
      .trimEnd()
      .split("\n")
      .map((row) => (JSON.parse(row) as { index: number }).index);
    expect(indexes).toEqual([0, 1, 2, 4, 5]);
    expect(index.batches[3]).toBeNull();
  });

  it("list errors in the order of the input, each with where its item lies and how often it was tried", async () => {
    const job = await aCutJob();

    const { errors } = await written(job);

    const lines = (await textOf(job.world, errors[0]?.key ?? "")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { index: 3, batch: 1, attempts: 1, cause: "raised", at: { start: 6, end: 7 } },
      { index: 6, batch: 3, attempts: 2, cause: "raised", at: { start: 12, end: 13 } },
    ]);
  });

  it("are the same bytes whoever computes them, however often", async () => {
    const job = await aCutJob();
    const first = await written(job);
    const puts = new Map<string, string>();
    for (const { key } of (await job.world.memory.list(KEYS.root)).entries) puts.set(key, await textOf(job.world, key));

    expect(await written(job)).toEqual(first);
    const other = await aCutJob();
    await written(other);

    for (const [key, text] of puts) expect(await textOf(other.world, key)).toBe(text);
  });

  it("write no worker's object and count no line beyond the cut", async () => {
    const { world, cut } = await aCutJob();
    const ledgerB = KEYS.ledger(WORKER_B, 0);
    const shorter = { ...cut, ledgers: { ...cut.ledgers, [ledgerB]: 0 } };

    const { counts } = await written({ world, cut: shorter });

    expect(counts).toMatchObject({ batches_succeeded: 2, batches_failed: 0, items_failed: 0 });
    expect(world.callsOf("put").filter((call) => /\/(ledger|results|errors)\//.test(call))).toEqual([]);
    expect(LEDGER_B.length).toBeGreaterThan(0);
  });
});

describe("the final state", () => {
  const counts = (items_failed: number) => ({ items_succeeded: 5, items_failed }) as JobCounts;
  const hook = (over: object) => ({ opening: 1, writes: 2, ...over }) as CompletionRecord;
  const done = hook({ state: "done", worker: null });

  it.each<[string, EndCause, CompletionRecord, number, string, object]>([
    ["succeeded", { kind: "settled" }, done, 0, "succeeded", { kind: "settled" }],
    ["completed_with_failures", { kind: "settled" }, done, 2, "completed_with_failures", { kind: "settled" }],
    [
      "failed by its hook",
      { kind: "settled" },
      hook({ state: "failed", error: "boom", traceback: "" }),
      0,
      "failed",
      { reason: "completion_failed" },
    ],
    [
      "stopped while the hook was open",
      { kind: "settled" },
      hook({ state: "closed", cause: "stopped" }),
      0,
      "stopped",
      { kind: "stopped" },
    ],
    [
      "timed out while the hook was open",
      { kind: "settled" },
      hook({ state: "closed", cause: "timed_out" }),
      0,
      "timed_out",
      { kind: "timed_out" },
    ],
    [
      "failed when nobody can run the hook",
      { kind: "settled" },
      hook({ state: "closed", cause: "failed" }),
      0,
      "failed",
      { reason: "worker_error" },
    ],
    ["stopped", { kind: "stopped" }, hook({ state: "closed", cause: "stopped" }), 1, "stopped", { kind: "stopped" }],
    [
      "timed out",
      { kind: "timed_out" },
      hook({ state: "closed", cause: "timed_out" }),
      1,
      "timed_out",
      { kind: "timed_out" },
    ],
    [
      "failed",
      { kind: "failed", reason: "split_failed", message: "no match" },
      done,
      1,
      "failed",
      { reason: "split_failed" },
    ],
  ])("is %s", (_, cause, ended, failed, state, told) => {
    expect(finalState(cause, ended, counts(failed)).state).toBe(state);
    expect(endCause(cause, ended)).toMatchObject(told);
  });
});

describe("a job that has no lane", () => {
  const split = { step: () => Promise.resolve("end" as const), endEarly: () => Promise.resolve() };

  it("ends for a stop, or for its timeout by the store's clock, and for nothing else", async () => {
    const world = new WatchedWorld();
    const spec = aJobSpec({ timeout_seconds: 60, accepted_at: world.clock.wallMs() });
    const stored = await readState(world.store, spec.api, spec.job);

    expect(await endOfWaiting(world.store, spec, stored)).toBeUndefined();
    await world.clock.advance(60_000);
    expect(await endOfWaiting(world.store, spec, stored)).toEqual({ kind: "timed_out" });
    await world.memory.put(jobKeys(spec.api, spec.job).stop, encodeStored({}));
    expect(await endOfWaiting(world.store, spec, stored)).toEqual({ kind: "stopped" });
  });

  it("is ended in the driver's own steps, with what was finished until then", async () => {
    const { world } = await aCutJob();
    const stored = await readState(world.store, JOB.api, JOB.job);

    await endWaiting(world.store, JOB, stored, { kind: "stopped" }, split);

    const { state } = await readState(world.store, JOB.api, JOB.job);
    expect(state).toMatchObject({ state: "stopped", cause: { kind: "stopped" }, counts: { items_succeeded: 5 } });
    const steps = [`swap ${KEYS.state}`, `put ${KEYS.cut}`, `put ${KEYS.manifest}`, `swap ${KEYS.completion}`];
    expect(world.calls.filter((call) => steps.includes(call))).toEqual([...steps, `swap ${KEYS.state}`]);
    expect((await world.memory.list(apiKeys(JOB.api).active)).entries).toEqual([]);
    expect((await world.memory.list(apiKeys(JOB.api).ended)).entries).toHaveLength(1);
  });

  it("is left to whoever was faster", async () => {
    const { world } = await aCutJob();
    const stored = await readState(world.store, JOB.api, JOB.job);
    await changeState(world.memory, { message: "a lane came" });

    await endWaiting(world.store, JOB, stored, { kind: "stopped" }, split);

    expect((await readState(world.store, JOB.api, JOB.job)).state.state).toBe("running");
    expect(world.callsOf("put")).toEqual([]);
  });
});
