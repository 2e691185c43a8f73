import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { readServiceConfig } from "../../services/batch-api/config.ts";
import { declaredTemplate, podSourceOf, podTemplateOf, workerEnvironmentOf } from "../../services/batch-api/pods.ts";
import { PoolRefused } from "../../services/backends/worker-pool.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { noObject, startApiServer, type ApiServerAnswer } from "../backends/kubernetes/an-api-server.ts";
import { anApiSpec, aJobSpec, aVersion } from "../support/builders.ts";

const AGE = { made_at: 1_700_000_000_000, generation: 1 };
const WORKER = { spec: { containers: [{ name: "worker", image: "worker@sha256:1" }] } };

async function declared(answer: ApiServerAnswer): Promise<unknown> {
  const server = await startApiServer(() => answer);
  try {
    return await declaredTemplate(server.kubeConfig, "batch", "photos-worker")().catch((error: unknown) => error);
  } finally {
    await server.close();
  }
}

describe("the declared pod template", () => {
  it("is read by its name", async () => {
    const metadata = { creationTimestamp: "2026-01-02T03:04:05Z", generation: 4 };

    expect(await declared({ body: { kind: "PodTemplate", metadata, template: WORKER } })).toMatchObject({
      template: WORKER,
      age: { made_at: Date.UTC(2026, 0, 2, 3, 4, 5), generation: 4 },
    });
  });

  it.each<[string, ApiServerAnswer, RegExp]>([
    ["missing", noObject(), /^PodTemplate batch\/photos-worker does not exist: declare it, or correct its name/],
    ["forbidden", { status: 403, body: { message: "may not get podtemplates" } }, /cannot be read: may not get pod/],
    ["empty", { body: { kind: "PodTemplate", template: {} } }, /is empty: it needs a template with a container named/],
  ])("is a problem that says so when it is %s", async (_, answer, words) => {
    const problem = await declared(answer);

    expect(problem).toMatchObject({ code: "pod_template_unusable", status: 503 });
    expect((problem as Error).message).toMatch(words);
  });

  it("is fitted to the spec, and a problem when it cannot be", async () => {
    const spec = anApiSpec({ compute: { cpu: "2", mem: "4Gi", gpu: 1 } });
    const fitted = await podTemplateOf(() => Promise.resolve({ template: WORKER, age: AGE }))(spec);
    const resources = { requests: { cpu: "2", memory: "4Gi" } };
    expect(fitted).toMatchObject({ age: AGE, template: { spec: { containers: [{ resources }] } } });

    const other: V1PodTemplateSpec = { spec: { containers: [{ name: "main" }] } };
    await expect(podTemplateOf(() => Promise.resolve({ template: other, age: AGE }))(spec)).rejects.toMatchObject({
      code: "pod_template_unusable",
      message: 'the pod template has no container named "worker"; name the worker\'s so',
    });
  });
});

describe("what a job's pods are made from", () => {
  const name = { api: "digits", job: "e00000000000000a", lane: 0, epoch: 1, generation: 0 };

  it("is the template of the job's own version", async () => {
    const store = new MemoryStore({ clock: realClock });
    const spec = aJobSpec({ timeout_seconds: 60 });
    await store.put(jobKeys("digits", spec.job).spec, Buffer.from(JSON.stringify(spec)));
    const version = aVersion({ pod_template: WORKER });
    await store.put(apiKeys("digits").version("v1"), Buffer.from(JSON.stringify(version)));

    expect(await podSourceOf(store)(name)).toEqual({ podTemplate: WORKER, deadlineSeconds: 60 });
  });

  it("is missing, for good, where the version was deployed on a laptop", async () => {
    const store = new MemoryStore({ clock: realClock });
    await store.put(jobKeys("digits", name.job).spec, Buffer.from(JSON.stringify(aJobSpec())));
    await store.put(apiKeys("digits").version("v1"), Buffer.from(JSON.stringify(aVersion())));

    const refused: unknown = await podSourceOf(store)(name).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(PoolRefused);
    expect(String(refused)).toContain("deploy the API to this service, and submit the job again");
  });
});

it("tells workers where the store, the lanes and the logs are, and no credentials", () => {
  const environment = {
    MILLRACE_STORE: "s3://acme-batch",
    MILLRACE_LANES: "http://127.0.0.1:1/q/0,http://127.0.0.1:1/q/1",
    MILLRACE_LOG_GROUP: "/millrace/photos",
    MILLRACE_LEASE_SECONDS: "6",
    MILLRACE_API: "photos",
    MILLRACE_NAMESPACE: "batch",
    MILLRACE_POD_TEMPLATE: "photos-worker",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_S3: "http://127.0.0.1:2",
    AWS_SECRET_ACCESS_KEY: "secret",
  };

  expect(workerEnvironmentOf(readServiceConfig(environment), environment)).toEqual({
    MILLRACE_STORE: "s3://acme-batch",
    MILLRACE_LANES: "http://127.0.0.1:1/q/0,http://127.0.0.1:1/q/1",
    MILLRACE_LOG_GROUP: "/millrace/photos",
    MILLRACE_LEASE_SECONDS: "6",
    MILLRACE_API: "photos",
    MILLRACE_SCRATCH: "/tmp/millrace",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_S3: "http://127.0.0.1:2",
  });
});
