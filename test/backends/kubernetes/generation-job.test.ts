import { describe, expect, it } from "vitest";
import type { V1PodTemplateSpec } from "@kubernetes/client-node";
import { generationJob, type PodSource } from "../../../services/backends/kubernetes/generation-job.ts";
import { PoolRefused } from "../../../services/backends/worker-pool.ts";
import { NAME } from "./objects.ts";

function build(podTemplate: V1PodTemplateSpec, more: Partial<PodSource> = {}, environment = {}) {
  return generationJob(NAME, 3, { podTemplate, deadlineSeconds: null, ...more }, environment);
}
const TEMPLATE = { spec: { containers: [{ name: "worker", image: "w" }] } };

describe("generationJob", () => {
  it("is named after job, epoch and generation, and carries labels to find it by", () => {
    const { metadata, spec } = build(TEMPLATE);

    const labels = {
      "app.kubernetes.io/managed-by": "millrace",
      "millrace/api": "photos",
      "millrace/job": NAME.job,
      "millrace/epoch": "2",
      "millrace/generation": "0",
    };
    expect(metadata).toEqual({ name: `${NAME.job}-2-g0`, labels, annotations: { "millrace/lane": "1" } });
    expect(spec?.template.metadata?.labels).toEqual(labels);
  });

  it("has one pod an index, replaced for free when the platform ended it or it was drained", () => {
    const { spec } = build(TEMPLATE);

    expect(spec).toMatchObject({ completionMode: "Indexed", completions: 3, parallelism: 3, backoffLimitPerIndex: 6 });
    expect(spec?.podReplacementPolicy).toBe("Failed");
    expect(spec?.podFailurePolicy?.rules).toEqual([
      { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
      { action: "Ignore", onExitCodes: { containerName: "worker", operator: "In", values: [75, 143] } },
      { action: "FailIndex", onExitCodes: { containerName: "worker", operator: "In", values: [64] } },
    ]);
    expect(spec?.template.spec?.restartPolicy).toBe("Never");
  });

  it("never lets a pod's end fail the whole generation", () => {
    const { spec } = build(TEMPLATE);

    expect(spec?.podFailurePolicy?.rules.map(({ action }) => action)).not.toContain("FailJob");
    expect([spec?.backoffLimit, spec?.maxFailedIndexes]).toEqual([undefined, undefined]);
  });

  it("has a deadline an hour after the job's own timeout, and none without one", () => {
    expect(build(TEMPLATE, { deadlineSeconds: 90.5 }).spec?.activeDeadlineSeconds).toBe(3691);
    expect(build(TEMPLATE).spec?.activeDeadlineSeconds).toBeUndefined();
    expect(build(TEMPLATE).spec?.ttlSecondsAfterFinished).toBe(3600);
  });

  it("is not to be evicted by the autoscaler, unless the template says so", () => {
    const annotation = "cluster-autoscaler.kubernetes.io/safe-to-evict";
    const own = { spec: TEMPLATE.spec, metadata: { annotations: { [annotation]: "true", hers: "kept" } } };

    expect(build(TEMPLATE).spec?.template.metadata?.annotations).toMatchObject({ [annotation]: "false" });
    expect(build(own).spec?.template.metadata?.annotations).toMatchObject({ [annotation]: "true", hers: "kept" });
  });

  it("gives a drain the time that the template says, else 100 seconds", () => {
    const containers = [{ name: "worker" }];
    const grace = (spec: V1PodTemplateSpec["spec"]) =>
      build(spec === undefined ? {} : { spec }).spec?.template.spec?.terminationGracePeriodSeconds;

    expect(grace({ containers })).toBe(100);
    expect(grace({ containers, terminationGracePeriodSeconds: 7 })).toBe(7);
  });

  it("puts its variables before the template's, and takes those of its own names away from it", () => {
    const env = [
      { name: "MILLRACE_JOB", value: "of somebody else" },
      { name: "JOB_COMPLETION_INDEX", value: "7" },
      { name: "MODEL", value: "large" },
    ];
    const template = {
      spec: {
        containers: [
          { name: "helper", env },
          { name: "worker", env },
        ],
      },
    };

    const [helper, worker] =
      build(template, {}, { MILLRACE_STORE: "s3://bucket" }).spec?.template.spec?.containers ?? [];

    expect(helper?.env).toEqual(env);
    expect(worker?.env).toEqual([
      { name: "MILLRACE_STORE", value: "s3://bucket" },
      { name: "MILLRACE_GRACE_SECONDS", value: "100" },
      { name: "MILLRACE_API", value: "photos" },
      { name: "MILLRACE_JOB", value: NAME.job },
      { name: "MILLRACE_LANE", value: "1" },
      { name: "MILLRACE_EPOCH", value: "2" },
      { name: "MILLRACE_GENERATION", value: "0" },
      { name: "MILLRACE_POD_UID", valueFrom: { fieldRef: { fieldPath: "metadata.uid" } } },
      { name: "MODEL", value: "large" },
    ]);
  });

  it("keeps sidecars and everything else that the template has, and changes nothing in it", () => {
    const sidecar = { name: "serving", image: "s", restartPolicy: "Always" };
    const template = {
      metadata: { labels: { team: "vision", "job-name": "old", "batch.kubernetes.io/controller-uid": "old" } },
      spec: { containers: [{ name: "worker" }], initContainers: [sidecar], nodeSelector: { gpu: "yes" } },
    };
    const before = structuredClone(template);

    const { metadata, spec } = build(template).spec?.template ?? {};

    expect(spec).toMatchObject({ initContainers: [sidecar], nodeSelector: { gpu: "yes" } });
    expect(metadata?.labels?.["team"]).toBe("vision");
    expect(Object.keys(metadata?.labels ?? {})).not.toContain("job-name");
    expect(Object.keys(metadata?.labels ?? {})).not.toContain("batch.kubernetes.io/controller-uid");
    expect(template).toEqual(before);
  });

  it("belongs to nobody, or to whom it is given", () => {
    const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "service", uid: "u" };

    expect(build(TEMPLATE).metadata?.ownerReferences).toBeUndefined();
    expect(build(TEMPLATE, { owner }).metadata?.ownerReferences).toEqual([owner]);
  });

  it("is refused when the template has no container named worker", () => {
    const named = (name: string) => () => build({ spec: { containers: [{ name }] } });

    expect(named("main")).toThrow(PoolRefused);
    expect(named("main")).toThrow(
      'the pod template of API photos has no container named "worker" (it has "main"); name one so',
    );
    expect(() => build({})).toThrow("it has no containers");
  });
});
