import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { createJobService } from "../../../services/batch-api/jobs/jobs.ts";
import { readState, swapState } from "../../../services/batch-api/jobs/state-record.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { jobId } from "../../../services/protocol/ids.ts";
import { Problem } from "../../../services/protocol/problems.ts";
import { anApiSpec, aSubmission, aVersion } from "../../support/builders.ts";
import { aService, breakingStore, countingRandom, keysUnder, NOW, StepClock } from "./support.ts";

const ANN = { principal: "ann", idempotencyKey: "k1" };
const jobsOf = (store: ObjectStore) => keysUnder(store, "apis/digits/jobs/");

describe("accept", () => {
  it("stages inline items byte for byte, one a line, and answers a pending job with the API's defaults", async () => {
    const { jobs, store, poked } = await aService();
    const items = ['{"a": 1.50}', '"\\u00e9"'].map((item) => Buffer.from(item));

    const view = await jobs.submit("digits", aSubmission({ input: { kind: "item_list", items } }), ANN);

    expect(view).toMatchObject({ state: "pending", spec: { workers: 2, attempts: 3, version: "v1" } });
    expect(view.spec.input).toEqual({ kind: "item_list", batch_size: 10, items: 2, bytes: 21 });
    const staged = await store.get(jobKeys("digits", view.spec.job).items(0));
    expect(staged?.bytes.toString()).toBe('{"a": 1.50}\n"\\u00e9"\n');
    expect(await keysUnder(store, apiKeys("digits").active)).toEqual([view.spec.job]);
    expect(poked).toEqual([view.spec.job]);
  });

  it("refuses more workers than the API's owner allows, and accepts as many", async () => {
    const { jobs, store } = await aService({ workersMax: 3 });

    await expect(jobs.submit("digits", aSubmission({ workers: 4 }), ANN)).rejects.toMatchObject({
      code: "invalid_body",
      faults: [
        { field: "workers", found: "4", fix: "ask for at most 3, which is what this API's owner allows (workersMax)" },
      ],
    });
    expect(await jobsOf(store)).toEqual([]);
    const view = await jobs.submit("digits", aSubmission({ workers: 3 }), ANN);
    expect(view.spec).toMatchObject({ workers: 3, warnings: [] });
  });

  it("cuts the API's own number of workers to what its owner allows, and says so", async () => {
    const { jobs } = await aService({ workersMax: 1 });

    const view = await jobs.submit("digits", aSubmission(), ANN);

    const warning = "workers: the API's own 2 are cut to 1, which is what its owner allows (workersMax)";
    expect(view.spec).toMatchObject({ workers: 1, warnings: [warning] });
  });

  it("says that the API does not exist", async () => {
    const { jobs } = await aService();

    await expect(jobs.submit("other", aSubmission(), ANN)).rejects.toMatchObject({ code: "api_not_found" });
  });

  it("answers the same job for the same key and body, also in another order of fields", async () => {
    const { jobs } = await aService();
    const first = await jobs.submit("digits", aSubmission({ labels: { a: "1", b: "2" } }), ANN);

    const second = await jobs.submit("digits", aSubmission({ labels: { b: "2", a: "1" } }), ANN);

    expect(second.spec).toEqual(first.spec);
  });

  it("refuses another body under the same key, also one that differs in an item's bytes only", async () => {
    const { jobs } = await aService();
    await jobs.submit("digits", aSubmission(), ANN);
    const other = aSubmission({ input: { kind: "item_list", items: [Buffer.from("1.0")], batchSize: 2 } });

    await expect(jobs.submit("digits", other, ANN)).rejects.toMatchObject({ code: "conflict" });
    await expect(jobs.submit("digits", aSubmission({ priority: 1 }), ANN)).rejects.toBeInstanceOf(Problem);
  });

  it("keeps keys of different principals apart, and jobs without a key", async () => {
    const { jobs } = await aService();

    const views = [
      await jobs.submit("digits", aSubmission(), ANN),
      await jobs.submit("digits", aSubmission(), { ...ANN, principal: "annk", idempotencyKey: "1" }),
      await jobs.submit("digits", aSubmission(), { principal: "ann" }),
      await jobs.submit("digits", aSubmission(), { principal: "ann" }),
    ];

    expect(new Set(views.map(({ spec }) => spec.job)).size).toBe(4);
  });

  it("makes one job of 20 submissions that race under one key", async () => {
    const { jobs, store } = await aService();

    const views = await Promise.all(Array.from({ length: 20 }, () => jobs.submit("digits", aSubmission(), ANN)));

    expect(new Set(views.map(({ spec }) => spec.job)).size).toBe(1);
    expect(await keysUnder(store, "apis/digits/active/")).toHaveLength(1);
    expect(await jobsOf(store)).toHaveLength(2);
  });

  it.each([1, 2, 3, 4].flatMap((call) => [[call, "before"] as const, [call, "after"] as const]))(
    "completes one job when it was killed at write %i (%s it) and the request comes again",
    async (call, when) => {
      const store = new MemoryStore({ clock: new StepClock() });
      const { deps, jobs } = await aService({ store });
      const dying = createJobService({ ...deps, store: breakingStore(store, call, when) });

      await expect(dying.submit("digits", aSubmission(), ANN)).rejects.toThrow("killed");
      const view = await jobs.submit("digits", aSubmission(), ANN);

      expect(await keysUnder(store, "apis/digits/active/")).toEqual([view.spec.job]);
      expect(await jobsOf(store)).toEqual([
        `${view.spec.job}/input/items-00000000.ndjson`,
        `${view.spec.job}/spec.json`,
      ]);
    },
  );

  it("writes nothing when a replay finds that the job has a state", async () => {
    const { jobs, store } = await aService();
    const { spec } = await jobs.submit("digits", aSubmission(), ANN);
    const stored = await readState(store, "digits", spec.job);
    await swapState(store, "digits", spec.job, stored, { state: "completing", cause: { kind: "stopped" } });
    await store.delete(apiKeys("digits").activeJob(spec.job));

    const replay = await jobs.submit("digits", aSubmission(), ANN);

    expect(replay.spec.job).toBe(spec.job);
    expect(await keysUnder(store, "apis/digits/active/")).toEqual([]);
  });

  it("answers a replay when its sources are gone since", async () => {
    const { jobs, store, deps } = await aService();
    const { spec } = await jobs.submit("digits", aSubmission(), ANN);
    await store.delete(apiKeys("digits").current);

    expect((await createJobService(deps).submit("digits", aSubmission(), ANN)).spec).toEqual(spec);
  });

  it("draws a new id when another submission has the job id, and every replay finds it", async () => {
    const { jobs, store } = await aService({ random: countingRandom("abcdef") });
    const taken = jobId(NOW, "abcdef");
    await store.put(jobKeys("digits", taken).items(0), Buffer.from("7\n"));

    const view = await jobs.submit("digits", aSubmission(), ANN);
    const other = await jobs.submit("digits", aSubmission(), { principal: "bob" });
    const replay = await jobs.submit("digits", aSubmission(), ANN);

    expect(view.spec.job).not.toBe(taken);
    expect(view.spec.job.slice(0, 11)).toBe(taken.slice(0, 11));
    expect(other.spec.job).not.toBe(view.spec.job);
    expect(replay.spec).toEqual(view.spec);
  });

  it("tries a batch as often as a dead-letter queue asks, without isolation", async () => {
    const version = aVersion({ spec: anApiSpec({ isolate: true, attempts: 5 }) });
    const { jobs } = await aService({ sendsDeadLetters: true }, version);

    const arn = "arn:aws:sqs:eu-west-1:123456789012:q";
    const { spec } = await jobs.submit("digits", aSubmission({ deadLetterQueue: { arn, maxReceiveCount: 2 } }), ANN);
    const byDefault = await jobs.submit("digits", aSubmission({ deadLetterQueue: { arn } }), { principal: "bob" });

    expect(spec).toMatchObject({ attempts: 2, isolate: false, dead_letter_queue: { arn, max_receive_count: 2 } });
    expect(spec.warnings).toEqual([]);
    expect(byDefault.spec).toMatchObject({ attempts: 5, isolate: false, dead_letter_queue: { max_receive_count: 5 } });
  });

  it("refuses a dead-letter queue where nothing can be sent to it, also when it is only checked", async () => {
    const { jobs } = await aService();
    const asked = aSubmission({ deadLetterQueue: { arn: "arn:aws:sqs:eu-west-1:123456789012:q", maxReceiveCount: 2 } });

    const words = /^dead_letter_queue: found a service without AWS credentials; start the service with AWS credentials/;
    await expect(jobs.submit("digits", asked, ANN)).rejects.toThrow(words);
    await expect(jobs.dryRun("digits", asked)).rejects.toThrow(words);
  });
});
