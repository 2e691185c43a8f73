import { describe, expect, it } from "vitest";
import type { LiveFacts } from "../../../services/protocol/jobs.ts";
import { readState, swapState, type StateChange } from "../../../services/batch-api/jobs/state-record.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { EMPTY_LANE } from "../../../services/protocol/lanes.ts";
import { aSubmission } from "../../support/builders.ts";
import { aService } from "./support.ts";

const ANN = { principal: "ann" };
const forever = new AbortController().signal;

async function change(store: ObjectStore, job: string, ...changes: StateChange[]): Promise<void> {
  for (const one of changes) await swapState(store, "digits", job, await readState(store, "digits", job), one);
}

async function end(store: ObjectStore, job: string, state: "stopped" | "succeeded"): Promise<void> {
  const kind = state === "stopped" ? "stopped" : "settled";
  await change(store, job, { state: "running" }, { state: "completing", cause: { kind } }, { state });
  await store.put(apiKeys("digits").endedJob(state, job), encodeStored({}));
  await store.delete(apiKeys("digits").activeJob(job));
}

/** Jobs of rising age: the first of the answer is the oldest. */
async function someJobs(count: number, priorities: readonly number[] = []) {
  const service = await aService();
  const ids: string[] = [];
  for (let at = 0; at < count; at++) {
    service.clock.ms += 1000;
    const view = await service.jobs.submit("digits", aSubmission({ priority: priorities[at] ?? 0 }), ANN);
    ids.push(view.spec.job);
  }
  return { ...service, ids };
}

describe("get", () => {
  it("does not know the job of another API, nor a text that is no id", async () => {
    const { jobs, ids } = await someJobs(1);

    await expect(jobs.get("other", ids[0] ?? "")).rejects.toMatchObject({ code: "job_not_found" });
    await expect(jobs.get("digits", "../../x")).rejects.toMatchObject({ code: "job_not_found" });
  });

  it("tells a waiting job which jobs hold the lanes and which are granted before it", async () => {
    const { jobs, store, ids } = await someJobs(4, [0, 0, 0, 5]);
    const [running = "", second = "", third = "", urgent = ""] = ids;
    await store.swap(apiKeys("digits").lane(0), encodeStored({ ...EMPTY_LANE, epoch: 1, job: running }), undefined);

    expect((await jobs.get("digits", third)).message).toBe(
      `Waits for a lane: the only lane is held by job ${running}; 2 waiting before it: ${urgent}, ${second}. ` +
        "It starts when those end; to start it sooner stop one of them, or raise lanes.",
    );
    expect((await jobs.get("digits", urgent)).message).toContain("it is the next one");
  });

  it("prefers what a living driver knows, and not once the job is final", async () => {
    const { store, deps, ids } = await someJobs(1);
    const [job = ""] = ids;
    const { jobs } = await aService({ ...deps, live: () => LIVE });
    await change(store, job, { state: "running" });

    expect(await jobs.get("digits", job)).toMatchObject({ ...LIVE, state: "running" });
    await change(store, job, { state: "completing", cause: { kind: "settled" } }, { state: "succeeded" });
    expect(await jobs.get("digits", job)).toMatchObject({ batches_running: 0, message: "Every item succeeded." });
  });
});

const LIVE: LiveFacts = {
  counts: {
    batches: 2,
    items: 3,
    complete: true,
    batches_succeeded: 1,
    batches_failed: 0,
    items_succeeded: 2,
    items_failed: 0,
    attempts_failed: 0,
    handler_seconds: 1,
  },
  batches_running: 1,
  batches_waiting: 0,
  workers: { asked: 2, pending: 0, starting: 1, ready: 1, lost: 0 },
  items_per_second: 2,
  estimated_seconds_left: 1,
  message: "",
  splitting: false,
};

describe("list", () => {
  it("tells jobs newest first, page by page, ended ones among them", async () => {
    const { jobs, store, ids } = await someJobs(5);
    await end(store, ids[1] ?? "", "succeeded");
    await end(store, ids[3] ?? "", "stopped");

    const first = await jobs.list("digits", { limit: 3 });
    const second = await jobs.list("digits", { limit: 3, ...(first.next === undefined ? {} : { cursor: first.next }) });

    expect([...first.jobs, ...second.jobs].map(({ spec }) => spec.job)).toEqual(ids.toReversed());
    expect(second.next).toBeUndefined();
  });

  it("tells those of one state only", async () => {
    const { jobs, store, ids } = await someJobs(5);
    await end(store, ids[1] ?? "", "stopped");
    await change(store, ids[0] ?? "", { state: "running" });
    const of = async (state: "stopped" | "running" | "pending", limit: number) =>
      (await jobs.list("digits", { state, limit })).jobs.map(({ spec }) => spec.job);

    expect(await of("stopped", 10)).toEqual([ids[1]]);
    expect(await of("running", 1)).toEqual([ids[0]]);
    expect(await of("pending", 10)).toEqual([ids[4], ids[3], ids[2]]);
  });

  it("refuses a cursor that no page gave", async () => {
    const { jobs } = await someJobs(1);

    await expect(jobs.list("digits", { cursor: "../" })).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("stop", () => {
  it("is durable when it answers, pokes the driver, and may be asked twice", async () => {
    const { jobs, store, ids, poked } = await someJobs(1);
    const [job = ""] = ids;

    const view = await jobs.stop("digits", job);
    await jobs.stop("digits", job);

    expect(view.message).toContain("stop was asked for");
    expect(await store.size(jobKeys("digits", job).stop)).toBeGreaterThan(0);
    expect(poked).toEqual([job, job, job]);
  });

  it("is refused for a job that has ended", async () => {
    const { jobs, store, ids } = await someJobs(1);
    await end(store, ids[0] ?? "", "succeeded");

    await expect(jobs.stop("digits", ids[0] ?? "")).rejects.toMatchObject({ code: "job_is_final" });
  });
});

describe("state", () => {
  it("never leaves a final state, and never moves outside the table", async () => {
    const { store, ids } = await someJobs(2);
    await end(store, ids[0] ?? "", "succeeded");

    await expect(change(store, ids[0] ?? "", { state: "running" })).rejects.toThrow("never moves from succeeded");
    await expect(change(store, ids[0] ?? "", { message: "other" })).rejects.toThrow("never moves");
    await expect(change(store, ids[1] ?? "", { state: "succeeded" })).rejects.toThrow("from pending to succeeded");
  });

  it("says which format it cannot read", async () => {
    const { jobs, store, ids } = await someJobs(1);
    await store.swap(jobKeys("digits", ids[0] ?? "").state, encodeStored({ format: 9, state: "running" }), undefined);

    const { message } = await jobs.get("digits", ids[0] ?? "");
    expect(message).toMatch(/state.json has format 9.*reads format 1/);
  });
});

describe("events", () => {
  it("tells the job at once, at each change and not without one, and ends with the final view", async () => {
    const { jobs, store, ids, clock } = await someJobs(1);
    const [job = ""] = ids;
    const steps = [
      () => change(store, job, { state: "running" }),
      () => Promise.resolve(),
      () => change(store, job, { state: "completing", cause: { kind: "settled" } }, { state: "succeeded" }),
    ];
    clock.onSleep = () => steps.shift()?.();

    const told: string[] = [];
    for await (const view of jobs.events("digits", job, forever)) told.push(view.state);

    expect(told).toEqual(["pending", "running", "succeeded"]);
  });

  it("ends quietly when the listener goes away", async () => {
    const { jobs, ids, clock } = await someJobs(1);
    const gone = new AbortController();
    clock.onSleep = () => {
      gone.abort();
    };

    const told: string[] = [];
    for await (const view of jobs.events("digits", ids[0] ?? "", gone.signal)) told.push(view.state);

    expect(told).toEqual(["pending"]);
  });
});
