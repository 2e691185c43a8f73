import { describe, expect, it } from "vitest";
import { closeCompletion, CompletionHook, type HookFacts } from "../../../services/batch-api/driver/hook.ts";
import type { CompletionRecord } from "../../../services/protocol/jobs.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { aRunningJob, JOB, LEDGER_A, LEDGER_B } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const KEY = jobKeys(JOB.api, JOB.job).completion;
const QUIET: HookFacts = { closeFor: undefined, isFresh: () => true };

async function put(bench: DriverBench, record: CompletionRecord): Promise<void> {
  const found = await bench.world.memory.read(KEY);
  await bench.world.memory.swap(KEY, Buffer.from(JSON.stringify(record)), found?.version);
}

async function stored(bench: DriverBench): Promise<unknown> {
  const found = await bench.world.memory.read(KEY);
  return found === undefined ? undefined : JSON.parse(found.bytes.toString());
}

/** The hook of a job whose workers said whether there is one. */
async function aHook(hasHook = true): Promise<{ bench: DriverBench; hook: CompletionHook }> {
  const bench = new DriverBench();
  const [ledgerA, ledgerB] = [LEDGER_A, LEDGER_B].map((lines) =>
    lines.map((line) => (line.t === "ready" ? { ...line, hook: hasHook } : line)),
  );
  await aRunningJob(bench.world.memory, { ...(ledgerA && { ledgerA }), ...(ledgerB && { ledgerB }) });
  const job = await bench.runningJob();
  await job.ledgers.refreshLedgers();
  return { bench, hook: new CompletionHook(job) };
}

describe("the completion hook at the driver", () => {
  it("is opened, and its ticket sent again once a lease while it stays open", async () => {
    const { bench, hook } = await aHook();

    expect(await hook.step(QUIET)).toBeUndefined();
    expect(await stored(bench)).toEqual({ state: "open", opening: 1, writes: 1 });
    await bench.world.clock.advance(59_000);
    await hook.step(QUIET);
    expect(bench.world.callsOf("send")).toHaveLength(1);
    await bench.world.clock.advance(1_000);
    await hook.step(QUIET);

    expect(bench.world.callsOf("send")).toHaveLength(2);
  });

  it("is left alone while a fresh worker has claimed it, and opened anew when that one is not fresh", async () => {
    const { bench, hook } = await aHook();
    const claimed: CompletionRecord = { state: "claimed", opening: 1, writes: 2, worker: "1-1-0-aa" };
    await put(bench, claimed);

    expect(await hook.step(QUIET)).toBeUndefined();
    expect(await stored(bench)).toEqual(claimed);
    expect(bench.world.callsOf("send")).toEqual([]);
    await hook.step({ ...QUIET, isFresh: () => false });

    expect(await stored(bench)).toEqual({ state: "open", opening: 2, writes: 3 });
  });

  it("is done at once when a worker said that there is none", async () => {
    const { bench, hook } = await aHook(false);

    expect(await hook.step(QUIET)).toMatchObject({ state: "done", worker: null });
    expect(bench.world.callsOf("send")).toEqual([]);
  });

  it.each(["stopped", "timed_out", "failed"] as const)("is closed while open or claimed: %s", async (cause) => {
    const { bench, hook } = await aHook();
    await put(bench, { state: "claimed", opening: 3, writes: 9, worker: "1-1-0-aa" });

    expect(await hook.step({ ...QUIET, closeFor: cause })).toEqual({ state: "closed", opening: 3, writes: 10, cause });
  });

  it("that is done comes before a stop", async () => {
    const { bench, hook } = await aHook();
    const done: CompletionRecord = { state: "done", opening: 1, writes: 3, worker: "1-1-0-aa" };
    await put(bench, done);

    expect(await hook.step({ ...QUIET, closeFor: "stopped" })).toEqual(done);
    expect(await closeCompletion(bench.world.store, JOB, "stopped")).toEqual(done);
  });

  it("is looked at again when another move was faster", async () => {
    const { bench, hook } = await aHook();
    await put(bench, { state: "open", opening: 1, writes: 1 });
    const done: CompletionRecord = { state: "done", opening: 1, writes: 3, worker: "1-1-0-aa" };
    bench.world.before = (call) => (call === `swap ${KEY}` ? put(bench, done) : undefined);

    expect(await hook.step({ ...QUIET, closeFor: "stopped" })).toBeUndefined();
    expect(await hook.step({ ...QUIET, closeFor: "stopped" })).toEqual(done);
  });
});
