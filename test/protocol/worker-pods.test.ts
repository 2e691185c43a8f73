import { describe, expect, it } from "vitest";
import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { generationJob } from "../../services/backends/kubernetes/generation-job.ts";
import { PodTemplateUnfit, workerPods } from "../../services/protocol/worker-pods.ts";
import type { ApiSpec, ComputeSpec, ContainerSpec } from "../../services/protocol/api-spec.ts";
import { aContainerSpec, aProbe } from "../support/a-container.ts";
import { anApiSpec } from "../support/builders.ts";

const WORKER = {
  name: "worker",
  image: "millrace/worker@sha256:aa",
  args: ["worker"],
  env: [{ name: "A", value: "1" }],
};

function aTemplate(over: Partial<V1PodTemplateSpec["spec"]> = {}): V1PodTemplateSpec {
  return { metadata: { labels: { team: "a" } }, spec: { containers: [WORKER], serviceAccountName: "labels", ...over } };
}

function anApi(container: Partial<ContainerSpec> = {}, over: Partial<ApiSpec> = {}): ApiSpec {
  const handler = aContainerSpec(9000);
  const [first] = handler.containers;
  if (first === undefined) throw new Error("no container");
  return anApiSpec({ handler: { ...handler, containers: [{ ...first, ...container }] }, ...over });
}

function compute(over: Partial<ContainerSpec["compute"]>): Pick<ContainerSpec, "compute"> {
  return { compute: { cpu: null, mem: null, gpu: 0, shm: null, ...over } };
}

function sidecarOf(spec: ApiSpec) {
  return workerPods(spec, aTemplate()).spec?.initContainers?.at(-1);
}

describe("the pods of a Python API", () => {
  const spec = (wish: Partial<ComputeSpec>) => anApiSpec({ compute: { cpu: null, mem: null, gpu: 0, ...wish } });

  it("are the template's when the spec wishes nothing", () => {
    expect(workerPods(spec({}), aTemplate())).toEqual(aTemplate({ containers: [{ ...WORKER, resources: {} }] }));
  });

  it("give the worker what the spec wishes, unless the template says", () => {
    const resources = { requests: { cpu: "4" }, limits: { "ephemeral-storage": "1Gi" } };
    const template = aTemplate({
      containers: [
        { ...WORKER, resources },
        { name: "proxy", image: "p" },
      ],
    });

    const pods = workerPods(spec({ cpu: "500m", mem: "2Gi", gpu: 1 }), template);

    expect(pods.spec?.containers).toEqual([
      {
        ...WORKER,
        resources: {
          requests: { cpu: "4", memory: "2Gi", "nvidia.com/gpu": "1" },
          limits: { "ephemeral-storage": "1Gi", memory: "2Gi", "nvidia.com/gpu": "1" },
        },
      },
      { name: "proxy", image: "p" },
    ]);
    expect(template).toEqual(
      aTemplate({
        containers: [
          { ...WORKER, resources },
          { name: "proxy", image: "p" },
        ],
      }),
    );
  });
});

describe("the pods of containers", () => {
  it("run them as native sidecars, after the template's own and the job's file", () => {
    const template = aTemplate({ initContainers: [{ name: "certificates", image: "c" }], volumes: [{ name: "v" }] });

    const { spec } = workerPods(anApi({ env: { MODE: "fast" }, command: ["python"], args: ["main.py"] }), template);

    expect(spec?.containers).toEqual([WORKER]);
    expect(spec?.serviceAccountName).toBe("labels");
    expect(spec?.initContainers).toEqual([
      { name: "certificates", image: "c" },
      {
        name: "job-file",
        image: WORKER.image,
        args: ["worker", "job-file"],
        env: WORKER.env,
        volumeMounts: [{ name: "millrace-job-file", mountPath: "/cortex/spec" }],
      },
      {
        name: "api",
        image: "registry/api",
        restartPolicy: "Always",
        command: ["python"],
        args: ["main.py"],
        env: [
          { name: "CORTEX_PORT", value: "9000" },
          { name: "CORTEX_VERSION", value: "0.42.0" },
          { name: "MODE", value: "fast" },
        ],
        resources: {},
        volumeMounts: [
          { name: "millrace-job-file", mountPath: "/cortex/spec", readOnly: true },
          { name: "millrace-shared", mountPath: "/mnt" },
        ],
      },
    ]);
    expect(spec?.volumes).toEqual([
      { name: "v" },
      { name: "millrace-job-file", emptyDir: {} },
      { name: "millrace-shared", emptyDir: {} },
    ]);
  });

  it("give each container what it wishes, with its memory as a bound, which it never was in Cortex", () => {
    const wish = compute({ cpu: "2", mem: "8Gi", gpu: 1 });
    const requests = { cpu: "2", memory: "8Gi", "nvidia.com/gpu": "1" };

    expect(sidecarOf(anApi(wish))?.resources).toEqual({
      requests,
      limits: { memory: "8Gi", "nvidia.com/gpu": "1" },
    });
    expect(sidecarOf(anApi(wish, { cortex_project: true }))?.resources).toEqual({
      requests,
      limits: { "nvidia.com/gpu": "1" },
    });
  });

  it("give shared memory its own volume", () => {
    const { spec } = workerPods(anApi(compute({ shm: "1Gi" })), aTemplate());

    expect(spec?.volumes?.at(-1)).toEqual({ name: "shm-api", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } });
    expect(spec?.initContainers?.at(-1)?.volumeMounts).toContainEqual({ name: "shm-api", mountPath: "/dev/shm" });
  });

  it.each([
    [{ kind: "exec", command: ["true"] } as const, { exec: { command: ["true"] } }],
    [{ kind: "http_get", path: "/x", port: 1 } as const, { httpGet: { path: "/x", port: 1 } }],
    [{ kind: "tcp_socket", port: 1 } as const, { tcpSocket: { port: 1 } }],
  ])("leave the liveness probe %j to Kubernetes, and readiness to the worker", (check, action) => {
    const probe = aProbe(check, { failure_threshold: 4 });

    const sidecar = sidecarOf(anApi({ liveness_probe: probe, readiness_probe: probe }));

    expect(sidecar?.livenessProbe).toEqual({
      ...action,
      ...{ initialDelaySeconds: 0, timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 4 },
    });
    expect(sidecar).not.toHaveProperty("readinessProbe");
    expect(sidecar).not.toHaveProperty("startupProbe");
  });

  it("bound each container as the worker is, but for a root that only its own image knows", () => {
    const bounds = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
    const worker = { ...WORKER, securityContext: { ...bounds, readOnlyRootFilesystem: true } };

    const bounded = workerPods(anApi(), aTemplate({ containers: [worker] })).spec?.initContainers?.at(-1);

    expect(bounded?.securityContext).toEqual(bounds);
    expect(sidecarOf(anApi())).not.toHaveProperty("securityContext");
  });

  it("tell the job's file of its job as they tell the worker", () => {
    const name = { api: "labels", job: "e00000000000000a", lane: 2, epoch: 3, generation: 1 };
    const source = { podTemplate: workerPods(anApi(), aTemplate()), deadlineSeconds: null };

    const { template } = generationJob(name, 1, source, { MILLRACE_STORE: "s3://b" }).spec ?? {};
    const env = template?.spec?.initContainers?.map((each) => each.env?.map((variable) => variable.name));

    expect(env?.[0]).toEqual(expect.arrayContaining(["MILLRACE_STORE", "MILLRACE_API", "MILLRACE_JOB", "A"]));
    expect(env?.[1]).toEqual(["CORTEX_PORT", "CORTEX_VERSION"]);
  });
});

describe("workerPods", () => {
  it.each([
    [
      "no container for the worker",
      { containers: [{ name: "main" }] },
      'no container named "worker"; name the worker\'s so',
    ],
    [
      "a container of the same name",
      { containers: [WORKER, { name: "api" }] },
      '"api" is a container of the pod template',
    ],
    ["an init container of the same name", { initContainers: [{ name: "api" }] }, "as well; rename it"],
  ])("refuses %s", (_what, over, words) => {
    expect(() => workerPods(anApi(), aTemplate(over))).toThrow(PodTemplateUnfit);
    expect(() => workerPods(anApi(), aTemplate(over))).toThrow(words);
  });
});
