/** What is wrong around a service gets a sentence, and what is mended goes on: a service as a process, nothing of it faked. */
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { BatchV1Api, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ENV } from "../../../services/protocol/environment.ts";
import { apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import type { ApiVersion, StateRecord } from "../../../services/protocol/jobs.ts";
import { isFinal } from "../../../services/protocol/states.ts";
import type { JobOnWire, ProblemOnWire } from "../../support/api-user.ts";
import { BARE_API, BareCloud } from "../support/a-bare-cloud.ts";
import { leavingsOf } from "../support/leavings.ts";
import { DATA_BUCKET, STORE_BUCKET } from "../support/cloud-servers.ts";
import { SERVICE_ACCOUNT } from "../support/namespace.ts";
import { S3_CREDENTIALS, S3_REGION } from "../support/s3-server.ts";
import { startServiceProcess } from "../support/service-process.ts";

/** Slow enough for something to happen in the middle of a job. */
const SLOW_ECHO = `
import time

class Handler:
    def __init__(self, config):
        pass

    def handle_batch(self, payload):
        time.sleep(0.2)
        return payload
`;
const ITEMS = Array.from({ length: 120 }, (_, at) => ({ at }));

const JOBS = `/v1/apis/${BARE_API}/jobs`;

describe("a service whose environment is not what it needs", () => {
  it("ends at once with 64 and names every fault", async () => {
    const service = startServiceProcess({ [ENV.store]: "my bucket", [ENV.port]: "http" });

    expect(await service.ended).toBe(64);

    const lines = service.said().trimEnd().split("\n");
    for (const name of [ENV.api, ENV.store, ENV.lanes, ENV.logGroup, ENV.namespace, ENV.podTemplate, ENV.port]) {
      expect(lines.filter((line) => line.startsWith(name))).toHaveLength(1);
    }
    expect(service.said()).not.toContain("my bucket");
  });
});

let cloud: BareCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await BareCloud.start();
  s3 = new S3Client({
    ...{ region: S3_REGION, credentials: S3_CREDENTIALS },
    ...{ endpoint: cloud.servers.s3Endpoint, forcePathStyle: true },
  });
});
/** Mends what a test broke, so that one that failed in the middle can be run again. */
afterEach(async () => {
  for (const proxy of Object.values(cloud.servers.proxies)) {
    proxy.rules.clear();
    proxy.heal();
  }
  await cloud.servers.restoreLanes();
  await cloud.plane.restore();
});
afterAll(async () => {
  s3.destroy();
  await cloud.end();
  expect(leavingsOf(cloud.plane)).toEqual([]);
});

describe("a service around which something is wrong", () => {
  /** Faults are told in the order in which they were found. */
  function saysOf(...parts: readonly string[]) {
    return ({ why = "" }: { readonly why?: string }) => parts.every((part) => why.includes(part));
  }

  const unwell = ({ status }: { readonly status: string }) => status === "unwell";

  async function refusal(): Promise<ProblemOnWire> {
    const reply = await cloud.request(JOBS);
    expect(reply.headers.get("retry-after")).toBe("5");
    return (await reply.json()) as ProblemOnWire;
  }

  let tries = 0;
  it("names a bucket and a queue that do not exist, and is ready once they do", async () => {
    const late = `late-${String((tries += 1))}`;
    const lane = new URL(`lane-${late}`, cloud.servers.laneUrls[0]).href;
    await cloud.startService({ [ENV.store]: `s3://acme-${late}`, [ENV.lanes]: lane });

    const why = await cloud.whenHealth(unwell);
    expect(why).toMatch(/The store: s3:\/\/acme-late-\d\/\S+ names a bucket that does not exist; create acme-late/);
    expect(why).toMatch(/Lane 0: the queue of lane bare\/0 \(http\S+lane-late-\d\) does not exist; check its URL/);
    expect(await refusal()).toMatchObject({
      ...{ status: 503, code: "store_unwell" },
      detail: expect.stringContaining("names a bucket that does not exist; create acme-late") as string,
    });

    await cloud.servers.makeLane(`lane-${late}`);
    await s3.send(new CreateBucketCommand({ Bucket: `acme-${late}` }));
    await cloud.whenReady();
    expect((await cloud.request(JOBS)).status).toBe(404); // no such API yet
  });

  it("names a region that is not the bucket's", async () => {
    await cloud.startService({ AWS_REGION: "eu-central-1" });

    expect(await cloud.whenHealth(unwell)).toMatch(/set AWS_REGION to the bucket's region/);
  });

  it("names each right that it lacks, and is ready when all are granted", async ({ onTestFailed }) => {
    const { s3: store, sqs } = cloud.servers.proxies;
    const rbac = cloud.plane.admin.makeApiClient(RbacAuthorizationV1Api);
    const binding = { namespace: cloud.namespace.name, name: SERVICE_ACCOUNT };
    const { roleRef, subjects } = await rbac.readNamespacedRoleBinding(binding);
    const grant = async () => {
      const body = { metadata: { name: SERVICE_ACCOUNT }, roleRef, ...(subjects === undefined ? {} : { subjects }) };
      await rbac.createNamespacedRoleBinding({ namespace: cloud.namespace.name, body });
    };
    onTestFailed(() => grant().catch(() => undefined)); // it is still granted, or again
    await cloud.startService();
    await cloud.whenReady();

    store.rules.add({ name: "denied", fault: { kind: "refuse", status: 403, code: "AccessDenied" } });
    sqs.rules.add({ name: "denied", fault: { kind: "refuse", status: 403, code: "AccessDenied" } });
    await rbac.deleteNamespacedRoleBinding(binding);

    const why = await cloud.whenHealth(saysOf("The store: ", "The cluster: ", "Lane 0: ", "Lane 1: "));
    expect(why).toContain("grant this service s3:ListBucket on millrace-store");
    expect(why).toContain("grant sqs:GetQueueAttributes on it");
    expect(why).toMatch(/lacks a right in its namespace: .*cannot list resource "jobs".*grant it by a role/);
    expect(why).not.toContain("\n");
    expect(await refusal()).toMatchObject({ status: 503, code: "store_unwell" });

    store.rules.clear();
    sqs.rules.clear();
    await grant();
    await cloud.whenReady();
  });

  it("says that the API server does not answer, and ends in time when asked to in the middle of it all", async () => {
    await cloud.startService();
    await cloud.whenReady();

    await cloud.plane.stopApiServer();
    cloud.servers.proxies.s3.freeze();
    expect(await cloud.whenHealth(saysOf("The cluster: "))).toMatch(
      /The cluster: .*did not answer.*check that it runs/,
    );
    const { end, seconds } = await cloud.stopService();

    expect(end).toBe(0);
    expect(seconds).toBeLessThan(25);
  });
});

describe("a job around which something is wrong", () => {
  beforeAll(async () => {
    await cloud.startService();
    await cloud.whenReady();
    expect((await cloud.deploy(BARE_API, SLOW_ECHO)).status).toBe(201);
  });
  /** The jobs of a test that failed leave their lanes to the next ones. */
  beforeEach(({ onTestFailed }) => {
    onTestFailed(async () => {
      const { jobs } = (await (await cloud.request(JOBS)).json()) as { readonly jobs: readonly JobOnWire[] };
      for (const job of jobs.filter(({ state }) => !isFinal(state))) {
        await cloud.stop(job);
        await cloud.ended(job, 60);
      }
      cloud.forget(...jobs);
    });
  });

  async function putData(key: string, text: string): Promise<void> {
    await s3.send(new PutObjectCommand({ Bucket: DATA_BUCKET, Key: key, Body: text }));
  }

  it("ends right though its credentials expire in the middle, and says so once", async () => {
    const { s3: store, sqs } = cloud.servers.proxies;
    const job = await cloud.submit(BARE_API, { workers: 2, item_list: { items: ITEMS, batch_size: 1 } });
    await cloud.when(job, ({ items }) => items.succeeded > 5, 60);

    const saidBefore = cloud.said.length;
    const expired = { kind: "refuse", status: 400, code: "ExpiredToken" } as const;
    store.rules.add({ name: "expired", fault: expired });
    sqs.rules.add({ name: "expired", fault: expired });
    const refused = await cloud.request(JOBS);
    expect(refused.status).toBe(503);
    expect(((await refused.json()) as ProblemOnWire).detail).toMatch(/credentials are missing or have expired; renew/);
    await cloud.whenHealth(({ why = "" }) => /The store: .*credentials/.test(why) && /Lane 0: .*credentials/.test(why));
    store.rules.clear();
    sqs.rules.clear();
    const ended = await cloud.ended(job, 120);

    expect(ended).toMatchObject({ state: "succeeded", items: { succeeded: ITEMS.length } });
    expect(store.rules.fired("expired")).toBeGreaterThan(5);
    const said = cloud.said.slice(saidBefore);
    expect(said.match(/S3 takes the AWS credentials no more/g)).toHaveLength(1);
    expect(said.match(/S3 takes the AWS credentials again/g)).toHaveLength(1);
    await cloud.proveAll();
  });

  it("fails with the API server's own words when its pods are refused, after one try", async ({ onTestFinished }) => {
    const { version } = (await (await cloud.request(`/v1/apis/${BARE_API}`)).json()) as { readonly version: string };
    const key = apiKeys(BARE_API).version(version);
    const kept = await cloud.store.get(key);
    const broken = JSON.parse(kept?.bytes.toString() ?? "") as ApiVersion;
    const { spec } = broken.pod_template as { spec: { containers: Record<string, unknown>[] } };
    const [container = {}] = spec.containers;
    container["resources"] = { requests: { cpu: "2" }, limits: { cpu: "1" } };
    const put = (bytes: Uint8Array) => s3.send(new PutObjectCommand({ Bucket: STORE_BUCKET, Key: key, Body: bytes }));
    onTestFinished(async () => {
      await put(kept?.bytes ?? Buffer.alloc(0));
    });
    await put(Buffer.from(JSON.stringify(broken)));

    const ended = await cloud.run(BARE_API, { workers: 2, item_list: { items: ITEMS.slice(0, 4), batch_size: 1 } }, 60);

    expect(ended).toMatchObject({ state: "failed", reason: "worker_error" });
    expect(ended.message).toMatch(
      /^Kubernetes refuses the workers of job \w+: .*must be less than or equal to cpu limit/,
    );
    const { namespace } = { namespace: cloud.namespace.name };
    const { items } = await cloud.plane.admin.makeApiClient(BatchV1Api).listNamespacedJob({ namespace });
    expect(items.filter(({ metadata }) => metadata?.name?.startsWith(ended.job_id))).toEqual([]);
    await cloud.proveAll();
  });

  it("tells what keeps its data from it: a missing grant at once, an archived object by the split, a change by its errors", async () => {
    const { s3: store } = cloud.servers.proxies;
    await putData("secret/a.jsonl", "1\n");
    await putData("archived/a.jsonl", "1\n2\n");
    await putData("changing/a.jsonl", ITEMS.map(({ at }) => `${String(at)}\n`).join(""));
    const denied = { kind: "refuse", status: 403, code: "AccessDenied" } as const;
    store.rules.add({ name: "denied", path: /^\/acme-data\/?\?.*prefix=secret/, fault: denied });
    const archived = { kind: "refuse", status: 403, code: "InvalidObjectState" } as const;
    store.rules.add({ name: "archived", path: /^\/acme-data\/archived\/a/, fault: archived });
    const input = (folder: string) => ({
      delimited_files: { paths: [`s3://${DATA_BUCKET}/${folder}/`], batch_size: 10 },
    });

    expect(await cloud.refused(BARE_API, input("secret"))).toMatchObject({
      ...{ status: 403, code: "source_denied" },
      detail: expect.stringContaining(`grant this service s3:ListBucket on ${DATA_BUCKET}`) as string,
    });
    const unread = await cloud.run(BARE_API, input("archived"), 60);
    expect(unread).toMatchObject({ state: "failed", reason: "split_failed" });
    expect(unread.message).toContain("archived/a.jsonl is in an archive storage class; restore it, or leave it out");

    const job = await cloud.submit(BARE_API, { workers: 1, ...input("changing") });
    await cloud.when(job, ({ batches }) => batches.complete, 60);
    await putData("changing/a.jsonl", "other bytes\n");
    const changed = await cloud.ended(job, 120);
    expect(changed.state).toBe("completed_with_failures");
    const [row] = await cloud.errors(changed);
    expect(row?.cause).toBe("input_changed");
    expect(row?.error).toContain("has changed since the job listed it; submit the job again");
    await cloud.proveAll();
  });

  it("goes on in another lane when its own vanishes, and says so while there is none", async () => {
    const job = await cloud.submit(BARE_API, { workers: 2, item_list: { items: ITEMS, batch_size: 1 } });
    const state = async () => {
      const found = await cloud.store.read(jobKeys(BARE_API, job.job_id).state);
      return JSON.parse(found?.bytes.toString() ?? "{}") as StateRecord;
    };
    await cloud.when(job, ({ items }) => items.succeeded > 5, 60);
    const first = (await state()).lane;

    await cloud.servers.deleteLane(first?.lane ?? 0);
    const ended = await cloud.ended(job, 150);

    expect(ended).toMatchObject({ state: "succeeded", items: { succeeded: ITEMS.length } });
    expect((await cloud.results(ended)).map(({ index }) => index)).toEqual(ITEMS.map(({ at }) => at));
    const last = (await state()).lane;
    expect(last?.lane).toBe(1 - (first?.lane ?? 0));
    expect(last?.epoch).toBeGreaterThan(first?.epoch ?? 0);
    await cloud.proveAll();

    await cloud.servers.deleteLane(last?.lane ?? 0);
    const waiting = await cloud.submit(BARE_API, { item_list: { items: [1], batch_size: 1 } });
    const told = await cloud.when(
      waiting,
      ({ message }) => /^Waits for a lane, .* lane 0: .* lane 1: /.test(message),
      60,
    );
    expect(told.state).toBe("pending");
    expect(told.message).toMatch(
      /lane 0: the queue of lane bare\/0 .*does not exist; .*lane 1: the queue of lane bare\/1/,
    );
    await cloud.stop(waiting);
    expect((await cloud.ended(waiting, 60)).state).toBe("stopped");
  });
});
