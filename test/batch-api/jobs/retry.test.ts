import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../../services/backends/object-store.memory.ts";
import { createJobService } from "../../../services/batch-api/jobs/jobs.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import type { JobSpec, StateRecord } from "../../../services/protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { LIMITS } from "../../../services/protocol/limits.ts";
import type { RetryRequest } from "../../../services/protocol/retry.ts";
import { endJob, splitJob, type Fate } from "../../support/a-family.ts";
import { aJobSpec, aVersion } from "../../support/builders.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { aService, breakingStore, keysUnder, StepClock } from "./support.ts";

const ANN = { principal: "ann", idempotencyKey: "k1" };
const ASKED: RetryRequest = { items: "failed", version: "newest" };
const BOTH: RetryRequest = { items: "failed_and_skipped", version: "newest" };
const ROOT = aJobSpec({
  input: { kind: "item_list", batch_size: 2, items: 6, bytes: 12 },
  workers: 5,
  labels: { a: "b" },
});
/** The same, whose items lie in a file. */
const OF_FILES: JobSpec = {
  ...ROOT,
  input: { kind: "delimited_files", batch_size: 2, paths: ["s3://data/"], includes: [], excludes: [] },
};
const KEYS = jobKeys(ROOT.api, ROOT.job);
const FATES: Readonly<Record<string, Fate>> = {
  good: { kind: "succeeded" },
  bad: { kind: "failed", exactly: true },
  skipped: { kind: "skipped" },
};

interface Ended {
  readonly spec?: JobSpec;
  /** Of its three batches. */
  readonly fates?: readonly (keyof typeof FATES)[];
  readonly state?: Partial<StateRecord>;
  /** Split files after which its split is ended. */
  readonly earlyAfter?: number;
}

/** A service with a job of six items that has ended. */
async function anEndedJob({ spec = ROOT, fates = ["good", "bad", "skipped"], state = {}, earlyAfter }: Ended = {}) {
  const store = new MemoryStore({ clock: new StepClock() });
  const dataset = new MemoryDataset();
  dataset.objects.set("s3://data/x", Buffer.from("0\n1\n2\n3\n4\n5\n"));
  const service = await aService({ store, dataset });
  await store.put(KEYS.items(0), Buffer.from("0\n1\n2\n3\n4\n5\n"));
  const world = { store, dataset, splitBatches: 2 };
  await splitJob(world, spec, earlyAfter);
  await endJob(world, spec, (batch) => FATES[fates[batch] ?? ""] ?? { kind: "succeeded" }, state);
  return { ...service, store, dataset };
}

describe("retry", () => {
  it("makes a job of the failed items on the newest version, else as the job was, and names its parent", async () => {
    const { jobs, store, poked } = await anEndedJob();
    await store.put(apiKeys("digits").version("v2"), encodeStored(aVersion({ version: "v2" })));
    const current = await store.read(apiKeys("digits").current);
    await store.swap(apiKeys("digits").current, encodeStored({ version: "v2", generation: 2 }), current?.version);

    const view = await jobs.retry("digits", ROOT.job, ASKED, ANN);

    expect(view.state).toBe("pending");
    expect(view.spec).toMatchObject({ version: "v2", workers: 5, labels: { a: "b" }, attempts: 2, config: {} });
    expect(view.spec.input).toEqual({
      ...{ kind: "retry", batch_size: 2, retry_of: ROOT.job, root: ROOT.job, retried: "failed", remaining: false },
    });
    expect(await keysUnder(store, KEYS.retries)).toEqual([view.spec.job]);
    expect(await keysUnder(store, apiKeys("digits").active)).toEqual([view.spec.job]);
    expect(poked).toEqual([view.spec.job]);
    const same = await jobs.retry("digits", ROOT.job, { ...ASKED, version: "same" }, { principal: "ann" });
    expect(same.spec.version).toBe("v1");
  });

  it("takes what the request says in place of what the job had", async () => {
    const { jobs } = await anEndedJob();
    const changes = {
      workers: 1,
      config: { a: 1 },
      timeoutSeconds: 9,
      batchSize: 1,
      attempts: 7,
      labels: {},
      priority: 3,
    };

    const { spec } = await jobs.retry("digits", ROOT.job, { ...ASKED, ...changes }, ANN);

    expect(spec).toMatchObject({
      workers: 1,
      config: { a: 1 },
      timeout_seconds: 9,
      attempts: 7,
      labels: {},
      priority: 3,
    });
    expect(spec.input.batch_size).toBe(1);
  });

  it("is one job under one key, whenever its service dies", async () => {
    for (const when of ["before", "after"] as const) {
      for (let call = 1; call <= 5; call++) {
        const { deps, store } = await anEndedJob();
        const dying = createJobService({ ...deps, store: breakingStore(store, call, when) });
        const died = await dying.retry("digits", ROOT.job, ASKED, ANN).then(
          () => false,
          () => true,
        );
        const jobs = createJobService(deps);

        const view = await jobs.retry("digits", ROOT.job, ASKED, ANN);
        const again = await jobs.retry("digits", ROOT.job, ASKED, ANN);

        expect(again.spec.job).toBe(view.spec.job);
        expect(await keysUnder(store, apiKeys("digits").active)).toEqual([view.spec.job]);
        expect(await keysUnder(store, KEYS.retries)).toEqual([view.spec.job]);
        expect(died || call === 5).toBe(true);
        await expect(jobs.retry("digits", ROOT.job, BOTH, ANN)).rejects.toMatchObject({ code: "conflict" });
      }
    }
  });

  it("goes on behind what was cut when it takes in the skipped items of a job that ended early", async () => {
    const { jobs } = await anEndedJob({ spec: OF_FILES, earlyAfter: 1, state: { state: "stopped" } });

    expect((await jobs.retry("digits", ROOT.job, BOTH, ANN)).spec.input).toMatchObject({ remaining: true });
    const failed = await jobs.retry("digits", ROOT.job, ASKED, { principal: "ann" });
    expect(failed.spec.input).toMatchObject({ remaining: false });
  });

  it("says of input that could not be cut that it is not retried", async () => {
    const cause = { kind: "failed" as const, reason: "split_failed" as const, message: "s3://data/x is no JSON" };
    const { jobs } = await anEndedJob({ earlyAfter: 1, state: { state: "failed", cause } });

    const { spec } = await jobs.retry("digits", ROOT.job, BOTH, ANN);

    expect(spec.input).toMatchObject({ remaining: false });
    const why = "items: the input behind item 4 could not be cut into items and is not retried: s3://data/x is no JSON";
    expect(spec.warnings).toEqual([why]);
  });

  it.each<[string, Ended, RetryRequest, string, string]>([
    ["that runs", { state: { state: "running" } }, ASKED, "job_is_not_final", `Job ${ROOT.job} is running, and only`],
    ["that succeeded", { fates: [] }, ASKED, "nothing_to_retry", `All 6 items of job ${ROOT.job} succeeded: there is`],
    ["that succeeded", { fates: [] }, BOTH, "nothing_to_retry", `All 6 items of job ${ROOT.job} succeeded: there is`],
    ["without failures", { fates: ["skipped"] }, ASKED, "nothing_to_retry", 'ask for items "failed_and_skipped"'],
    ["not cut at all", { earlyAfter: 0, state: { state: "failed", cause: { kind: "failed", reason: "split_failed", message: "no" } } }, BOTH, "nothing_to_retry", "its input could not be cut into items (no); mend it"], // prettier-ignore
  ])("refuses a job %s", async (_, ended, asked, code, sentence) => {
    const { jobs, store } = await anEndedJob(ended);

    const retried = jobs.retry("digits", ROOT.job, asked, ANN);

    await expect(retried).rejects.toMatchObject({ code, message: expect.stringContaining(sentence) as string });
    expect(await keysUnder(store, apiKeys("digits").active)).toEqual([]);
    expect(await keysUnder(store, KEYS.retries)).toEqual([]);
  });

  it("refuses a job that is not there, or another API's", async () => {
    const { jobs } = await anEndedJob();

    await expect(jobs.retry("digits", "e00000000000000b", ASKED, ANN)).rejects.toMatchObject({ code: "job_not_found" });
    await expect(jobs.retry("other", ROOT.job, ASKED, ANN)).rejects.toMatchObject({ code: "job_not_found" });
  });

  it.each([KEYS.manifest, KEYS.splitEnd, KEYS.split(1), KEYS.items(0), KEYS.part("errors-0.ndjson")])(
    "refuses a job whose %s is gone, and names it",
    async (key) => {
      const { jobs, store } = await anEndedJob();
      await store.delete(key);

      const message = `Job ${ROOT.job} cannot be retried: ${key} is gone from the store; submit its data again.`;
      await expect(jobs.retry("digits", ROOT.job, ASKED, ANN)).rejects.toMatchObject({
        code: "job_data_gone",
        message,
      });
    },
  );

  it("refuses a job all of whose data is gone", async () => {
    const { jobs, dataset } = await anEndedJob({ spec: OF_FILES });
    dataset.objects.clear();

    const message = expect.stringContaining("nothing lies under") as string;
    await expect(jobs.retry("digits", ROOT.job, ASKED, ANN)).rejects.toMatchObject({ code: "job_data_gone", message });
  });

  it("refuses a version that is gone, and says which one there is", async () => {
    const { jobs } = await anEndedJob({ spec: { ...ROOT, version: "v0" } });

    const retried = jobs.retry("digits", ROOT.job, { ...ASKED, version: "same" }, ANN);

    const message = expect.stringContaining("leave version out to run the newest one, v1") as string;
    await expect(retried).rejects.toMatchObject({ code: "version_gone", message });
  });

  it("refuses what contradicts the job's dead-letter queue, and keeps that", async () => {
    const dead_letter_queue = { arn: "arn:aws:sqs:eu-west-1:123456789012:q", max_receive_count: 2 };
    const { jobs } = await anEndedJob({ spec: { ...ROOT, isolate: false, dead_letter_queue } });

    const changed = jobs.retry("digits", ROOT.job, { ...ASKED, attempts: 3, isolate: true }, ANN);
    await expect(changed).rejects.toMatchObject({ faults: [{ field: "attempts" }, { field: "isolate" }] });
    expect((await jobs.retry("digits", ROOT.job, ASKED, ANN)).spec).toMatchObject({ dead_letter_queue, attempts: 2 });
  });

  it("ends somewhere: a family has so many retries and no more", async () => {
    const { jobs, store } = await anEndedJob();
    for (let retry = 1; retry < LIMITS.familyRetriesMax; retry++)
      await store.put(KEYS.retry(String(retry)), Buffer.alloc(0));

    await jobs.retry("digits", ROOT.job, ASKED, { principal: "ann" });

    await expect(jobs.retry("digits", ROOT.job, ASKED, ANN)).rejects.toMatchObject({ code: "retried_too_often" });
  });
});
