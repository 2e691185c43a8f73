import { describe, expect, it } from "vitest";
import { anApi, podOf, serviceEnv } from "./support/an-api.ts";

const OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2";
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";

describe("BatchApi's workers and code", () => {
  it("runs workers on its groups alone, rather on the first", async () => {
    const stack = await anApi(({ cpus, gpus }) => ({ runsOn: [cpus, gpus] }));

    const { affinity, tolerations } = podOf(stack) as { affinity: unknown; tolerations: readonly unknown[] };
    const inGroups = (values: readonly string[]) => ({
      matchExpressions: [{ key: "millrace/node-group", operator: "In", values }],
    });
    expect(affinity).toEqual({
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [inGroups(["cpus", "gpus"])] },
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: inGroups(["cpus"]) }],
      },
    });
    expect(tolerations).toEqual(
      expect.arrayContaining([
        { key: "nvidia.com/gpu", operator: "Equal", value: "present", effect: "NoSchedule" },
        { key: "millrace/workers", operator: "Equal", value: "present", effect: "NoSchedule" },
      ]),
    );
  });

  it("gives a pinned project a GPU on GPU nodes, unless it says otherwise", async () => {
    const silent = await anApi(({ gpus }) => ({ runsOn: [gpus] }));
    const none = await anApi(({ gpus }) => ({ runsOn: [gpus], compute: { gpus: 0 } }));

    expect(podOf(silent)).toMatchObject({
      containers: [{ resources: { requests: { "nvidia.com/gpu": "1" }, limits: { "nvidia.com/gpu": "1" } } }],
    });
    expect(podOf(none)).toMatchObject({ containers: [{ resources: {} }] });
  });

  it("bounds a worker's memory, and not its processors", async () => {
    const stack = await anApi({ compute: { cpu: "1500m", memory: "3Gi", sharedMemory: "1Gi" } });

    expect(podOf(stack)).toMatchObject({
      containers: [
        {
          resources: { requests: { cpu: "1500m", memory: "3Gi" }, limits: { memory: "3Gi" } },
          volumeMounts: [{ mountPath: "/tmp" }, { mountPath: "/dev/shm" }],
        },
      ],
      volumes: [{ emptyDir: {} }, { emptyDir: { medium: "Memory", sizeLimit: "1Gi" } }],
    });
  });

  it("keeps secrets out of the pods' description, and of the store", async () => {
    const stack = await anApi({ env: { MODE: "fast" }, secrets: { TOKEN: "very secret" } });

    const [worker] = (podOf(stack) as { containers: readonly Record<string, unknown>[] }).containers;
    expect(worker).toMatchObject({
      env: [{ name: "MODE", value: "fast" }],
      envFrom: [{ secretRef: { name: "worker-environment" } }],
    });
    expect(stack.one("kubernetes:core/v1:Secret", "words-secrets").secrets).toEqual(["stringData"]);
    const elsewhere = stack.resources.filter(({ name }) => name !== "words-secrets");
    expect(JSON.stringify(elsewhere.map(({ inputs }) => inputs))).not.toContain("very secret");
  });

  it("writes code and version before the service rolls, and makes it current after", async () => {
    const stack = await anApi();

    const archive = stack.one(OBJECT, "words-project-archive");
    const version = stack.one(OBJECT, "words-project-version");
    const current = stack.one(OBJECT, "words-current");
    expect(archive.inputs.key).toMatch(/^apis\/words\/projects\/[0-9a-f]{64}\.tar\.gz$/);
    expect(version.inputs.key).toBe(`apis/words/versions/${String(stack.outputs.version)}.json`);
    expect(current.inputs).toMatchObject({
      key: "apis/words/current.json",
      content: JSON.stringify({ version: stack.outputs.version, generation: 0 }),
    });
    for (const object of [archive, version, current]) expect(object.retainOnDelete).toBe(true);
    expect(current.dependsOn).toEqual(
      expect.arrayContaining([stack.one(DEPLOYMENT, "words-service").urn, archive.urn, version.urn]),
    );
    const stored = JSON.parse(String(version.inputs.content)) as { pod_template: { spec: unknown }; project: string };
    expect(stored.pod_template.spec).toEqual(podOf(stack));
    expect(archive.inputs.key).toContain(stored.project);
  });

  it("changes a project's spec for this stack", async () => {
    const stack = await anApi({ overrides: { workers: 9, config: { mode: "fast" }, batchTimeoutSeconds: 60 } });

    const stored = JSON.parse(String(stack.one(OBJECT, "words-project-version").inputs.content)) as { spec: unknown };
    expect(stored.spec).toMatchObject({ workers: 9, config: { mode: "fast" }, batch_timeout_seconds: 60 });
  });

  it("leaves deployed code alone", async () => {
    const stack = await anApi({ code: { kind: "deployed" } });

    expect(stack.ofType(OBJECT)).toEqual([]);
    expect(serviceEnv(stack)).toMatchObject({ MILLRACE_CODE: "deployed" });
    expect(stack.outputs.version).toBeUndefined();
  });
});
