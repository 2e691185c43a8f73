import { describe, expect, it } from "vitest";
import { accept } from "../../../services/batch-api/jobs/accept.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { aSubmission } from "../../support/builders.ts";
import { aDataset, breakingStore, countingRandom, NOW } from "../jobs/support.ts";
import { aJanitor, allKeys, API, aStore, DAY, forever, jobAt, KEYS, keysOf, putActive, putEnded } from "./support.ts";

const ANN = { principal: "ann", idempotencyKey: "k1" };

async function lostAfter(call: number) {
  const { store, clock } = await aStore();
  const before = await allKeys(store);
  const deps = { dataset: aDataset([]), random: countingRandom() };
  const submit = (through = store as Parameters<typeof accept>[0]["store"]) =>
    accept({ ...deps, store: through }, API, aSubmission(), ANN);
  await expect(submit(breakingStore(store, call, "after"))).rejects.toThrow("killed");
  return { store, clock, before, submit, ...aJanitor(store, clock) };
}

describe("leftovers of submissions", () => {
  it.each([1, 2, 3])(
    "that were killed after write %i are removed when they can no longer be accepted",
    async (call) => {
      const { store, clock, before, janitor } = await lostAfter(call);
      const left = await allKeys(store);
      expect(left.length).toBeGreaterThan(before.length);
      clock.ms = NOW + 2 * DAY - 1;
      await janitor.pass(API, forever);
      expect(await allKeys(store)).toEqual(left);

      clock.ms += DAY / 4; // it walks over all jobs only now and then
      await janitor.pass(API, forever);
      clock.ms += DAY / 4;
      await janitor.pass(API, forever);

      expect(await allKeys(store)).toEqual(before);
    },
  );

  it.each([1, 2, 3])("that were killed after write %i can be completed for a day, and not later", async (call) => {
    const early = await lostAfter(call);
    early.clock.ms = NOW + DAY - 1;
    const { job } = await early.submit();
    expect(await allKeys(early.store)).toContain(KEYS.activeJob(job));

    const late = await lostAfter(call);
    late.clock.ms = NOW + DAY;
    const left = await allKeys(late.store);
    await expect(late.submit()).rejects.toMatchObject({ code: "conflict", message: /submit it under a new key/ });
    expect(await allKeys(late.store)).toEqual(left);
  });

  it("do not come back from a process that was frozen before the last write", async () => {
    const { store, clock } = await aStore();
    const really = store.put.bind(store);
    store.put = async (key, bytes) => {
      const done = await really(key, bytes);
      if (key.endsWith("spec.json")) clock.ms += DAY;
      return done;
    };
    const deps = { dataset: aDataset([]), random: countingRandom(), store };

    await expect(accept(deps, API, aSubmission(), { principal: "ann" })).rejects.toMatchObject({ code: "conflict" });
    expect((await allKeys(store)).filter((key) => key.startsWith(KEYS.active))).toEqual([]);
  });

  it("a job that waits for longer than that is answered for its key, and stays", async () => {
    const { store, clock } = await aStore();
    const deps = { dataset: aDataset([]), random: countingRandom(), store };
    const { job } = await accept(deps, API, aSubmission(), ANN);
    clock.ms = NOW + 30 * DAY;
    const before = await allKeys(store);
    await aJanitor(store, clock).janitor.pass(API, forever);

    expect((await accept(deps, API, aSubmission(), ANN)).job).toBe(job);
    expect(await allKeys(store)).toEqual(before);
  });

  it("an idempotency key stands for its job as long as that is kept, and is free afterwards", async () => {
    const { store, clock } = await aStore();
    const deps = { dataset: aDataset([]), random: countingRandom(), store };
    const first = await accept(deps, API, aSubmission(), ANN);
    await store.delete(jobKeys(API, first.job).spec);
    await store.delete(jobKeys(API, first.job).items(0));
    await store.delete(KEYS.activeJob(first.job));
    await putEnded(store, first.job, { spec: first });
    const { janitor } = aJanitor(store, clock);
    for (const day of [30, 32, 33, 34]) {
      clock.ms = NOW + day * DAY;
      await janitor.pass(API, forever);
    }
    expect((await accept(deps, API, aSubmission(), ANN)).job).toBe(first.job);

    for (const day of [90, 91, 92, 93]) {
      clock.ms = NOW + day * DAY;
      await janitor.pass(API, forever);
    }
    expect((await accept(deps, API, aSubmission(), ANN)).job).not.toBe(first.job);
  });

  it("a job that has a state is never one: an ended one without a marker gets it again, another one is left alone", async () => {
    const { store, clock } = await aStore();
    const [ended, waiting] = [jobAt(NOW, 1), jobAt(NOW, 2)];
    await putEnded(store, ended);
    await putActive(store, waiting);
    await store.swap(jobKeys(API, waiting).state, encodeStored({ format: 1, state: "running", cause: null, lane: null, sent_through: 0, counts: null, message: "", at: {}, writes: 1 }), undefined); // prettier-ignore
    const before = await allKeys(store);
    await store.delete(KEYS.endedJob("succeeded", ended));
    await store.delete(KEYS.activeJob(waiting));
    clock.ms = NOW + 3 * DAY;

    await aJanitor(store, clock).janitor.pass(API, forever);

    expect(await allKeys(store)).toEqual(before.filter((key) => key !== KEYS.activeJob(waiting)));
  });

  it("an active marker without spec and state goes when it is old", async () => {
    const { store, clock } = await aStore();
    const job = jobAt(NOW);
    await store.put(KEYS.activeJob(job), Buffer.from("{}"));
    const { janitor } = aJanitor(store, clock);
    await janitor.pass(API, forever);
    expect(await allKeys(store)).toContain(KEYS.activeJob(job));

    clock.ms = NOW + 2 * DAY;
    await janitor.pass(API, forever);

    expect(await allKeys(store)).not.toContain(KEYS.activeJob(job));
    expect(await keysOf(store, job)).toEqual([]);
  });
});
