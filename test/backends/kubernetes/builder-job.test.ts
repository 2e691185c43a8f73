import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { builderJob, builderJobName } from "../../../services/backends/kubernetes/builder-job.ts";

const PLACE = { api: "photos", key: "0123456789abcdef0123456789abcdef" };
const TEMPLATE: V1PodTemplateSpec = {
  metadata: { labels: { team: "vision", "job-name": "x" }, annotations: { "acme/mesh": "off" } },
  spec: {
    serviceAccountName: "worker",
    serviceAccount: "worker",
    nodeSelector: { "acme/pool": "gpus" },
    tolerations: [{ key: "nvidia.com/gpu", operator: "Exists" }],
    resourceClaims: [{ name: "gpu", resourceClaimName: "gpu" }],
    volumes: [{ name: "tmp", emptyDir: {} }],
    initContainers: [{ name: "server", image: "server", restartPolicy: "Always" }],
    containers: [
      { name: "beside", image: "beside" },
      {
        ...{ name: "worker", image: "worker@sha256:1", args: ["--quiet"] },
        env: [
          { name: "PIP_INDEX_URL", value: "https://packages.acme.example/simple" },
          { name: "MILLRACE_STORE", value: "s3://elsewhere" },
        ],
        volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
        securityContext: { readOnlyRootFilesystem: true },
        ports: [{ containerPort: 9000, hostPort: 9000 }],
        lifecycle: { preStop: { exec: { command: ["sleep", "5"] } } },
        readinessProbe: { tcpSocket: { port: 9000 } },
        livenessProbe: { tcpSocket: { port: 9000 } },
        startupProbe: { tcpSocket: { port: 9000 } },
        resources: {
          requests: { cpu: "2", memory: "8Gi", "nvidia.com/gpu": "1" },
          limits: { memory: "8Gi", "nvidia.com/gpu": "1", "vpc.amazonaws.com/efa": "1" },
          claims: [{ name: "gpu" }],
        },
      },
    ],
  },
};

function build(options: { serviceAccount?: string } = {}, template = TEMPLATE) {
  return builderJob(PLACE, template, { workerEnvironment: { MILLRACE_STORE: "s3://acme-batch" }, ...options });
}

describe("builderJob", () => {
  it("runs the worker's container alone, where the worker would run, without devices, ports, probes and hooks", () => {
    const pod = build().spec?.template.spec;

    expect(pod).toEqual({
      serviceAccountName: "worker",
      nodeSelector: { "acme/pool": "gpus" },
      tolerations: [{ key: "nvidia.com/gpu", operator: "Exists" }],
      volumes: [{ name: "tmp", emptyDir: {} }],
      restartPolicy: "Never",
      containers: [
        {
          ...{ name: "worker", image: "worker@sha256:1", args: ["--quiet"] },
          terminationMessagePolicy: "FallbackToLogsOnError",
          volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
          securityContext: { readOnlyRootFilesystem: true },
          resources: { requests: { cpu: "2", memory: "8Gi" }, limits: { memory: "8Gi" } },
          env: [
            { name: "MILLRACE_STORE", value: "s3://acme-batch" },
            { name: "MILLRACE_API", value: "photos" },
            { name: "MILLRACE_BUILD_ENVIRONMENT", value: PLACE.key },
            { name: "PIP_INDEX_URL", value: "https://packages.acme.example/simple" },
          ],
        },
      ],
    });
  });

  it("has the rights of builders where there are such", () => {
    expect(build({ serviceAccount: "builder" }).spec?.template.spec).toMatchObject({ serviceAccountName: "builder" });
    expect(build({ serviceAccount: "builder" }).spec?.template.spec?.serviceAccount).toBeUndefined();
  });

  it("tries again what the platform ended, and not what cannot be installed", () => {
    const { spec } = build();

    expect(spec).toMatchObject({ backoffLimit: 2, activeDeadlineSeconds: 3600, ttlSecondsAfterFinished: 600 });
    expect(spec?.podFailurePolicy?.rules).toEqual([
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
      { action: "FailJob", onExitCodes: { containerName: "worker", operator: "In", values: [64, 65] } },
    ]);
  });

  it("can be found by its API, and is no generation of workers to those who look for these", () => {
    const { metadata, spec } = build();

    const labels = { "app.kubernetes.io/managed-by": "millrace", "millrace/api": "photos" };
    expect(metadata).toMatchObject({ labels, annotations: { "millrace/environment": PLACE.key } });
    expect(spec?.template.metadata).toEqual({
      labels: { team: "vision", ...labels },
      annotations: { "acme/mesh": "off", "millrace/environment": PLACE.key },
    });
  });

  it("has a name that fits, of its own for each API and key", () => {
    const names = [PLACE, { ...PLACE, api: "a".repeat(42) }, { ...PLACE, key: "1".repeat(32) }].map(builderJobName);

    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(name).toMatch(/^environment-[0-9a-f]{32}$/);
  });

  it("refuses a template without a worker", () => {
    expect(() => build({}, { spec: { containers: [{ name: "main" }] } })).toThrow(
      'the pod template has no container named "worker"; name the worker\'s so',
    );
  });
});
