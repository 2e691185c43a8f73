import { describe, expect, it } from "vitest";
import { CpuNodeGroup } from "../../components/cpu-node-group.ts";
import { GpuNodeGroup } from "../../components/gpu-node-group.ts";
import type { WorkerNodeGroup } from "../../components/worker-node-group.ts";
import { aCluster as aClusterOf, EXISTING } from "./support/a-cluster.ts";
import { render, type RenderedStack, UNKNOWN } from "./support/render.ts";

const NODE_GROUP = "aws:eks/nodeGroup:NodeGroup";
const TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate";
const ASG_TAG = "aws:autoscaling/tag:Tag";
const HINTS = "k8s.io/cluster-autoscaler/node-template";

/** What the autoscaler reads of an Auto Scaling group, by key. */
function hintsOf(stack: RenderedStack, group: string): Readonly<Record<string, unknown>> {
  const tags = stack
    .ofType(ASG_TAG)
    .filter(({ inputs }) => inputs.autoscalingGroupName === group)
    .map(({ inputs }) => inputs.tag as { key: string; value: unknown; propagateAtLaunch: boolean });
  expect(tags.every(({ propagateAtLaunch }) => !propagateAtLaunch)).toBe(true);
  return Object.fromEntries(tags.map(({ key, value }) => [key, value]));
}

/** One that is there already: little is rendered beside the groups. */
const aCluster = () => aClusterOf({ existing: EXISTING, kubernetesVersion: "1.35" });

const gpus = { instanceTypes: ["g6.xlarge"], nodesMax: 8 } as const;
const cpus = { instanceTypes: ["m7i.xlarge"], nodesMax: 4 } as const;

describe("GpuNodeGroup", () => {
  it("is a managed node group from none to many, of Bottlerocket with NVIDIA's drivers", async () => {
    const stack = await render(
      () => new GpuNodeGroup("gpus", { cluster: aCluster(), ...gpus, tags: { team: "vision" } }),
    );

    const { inputs, ignoreChanges } = stack.one(NODE_GROUP, "gpus-nodes");
    expect(inputs).toEqual({
      ...{ clusterName: "acme", version: "1.35", nodeRoleArn: EXISTING.nodeRoleArn },
      subnetIds: ["subnet-a", "subnet-b"],
      ...{ amiType: "BOTTLEROCKET_x86_64_NVIDIA", instanceTypes: ["g6.xlarge"], capacityType: "ON_DEMAND" },
      scalingConfig: { minSize: 0, desiredSize: 0, maxSize: 8 },
      labels: { "millrace/node-group": "gpus", "k8s.amazonaws.com/accelerator": "nvidia-l4" },
      taints: [{ key: "nvidia.com/gpu", value: "present", effect: "NO_SCHEDULE" }],
      launchTemplate: { id: "lt-gpus-nodes-template", version: "1" },
      nodeRepairConfig: { enabled: true },
      updateConfig: { maxUnavailable: 1, updateStrategy: "MINIMAL" },
      tags: {
        ...{ "millrace:component": "GpuNodeGroup", "millrace:name": "gpus", team: "vision" },
        [`${HINTS}/resources/cpu`]: "3920m",
        [`${HINTS}/resources/memory`]: "14162Mi",
        [`${HINTS}/resources/ephemeral-storage`]: "86Gi",
        [`${HINTS}/resources/nvidia.com/gpu`]: "1",
      },
    });
    expect(ignoreChanges).toEqual(["scalingConfig.desiredSize"]);
  });

  it("tells the autoscaler what a node would be that is not there, by tags of the Auto Scaling group too", async () => {
    const labels = { "acme.com/pool": "vision" };
    const taints = [{ key: "acme.com/licensed", value: "yes", effect: "NoSchedule" }] as const;

    const stack = await render(
      () => new GpuNodeGroup("gpus", { cluster: aCluster(), ...gpus, labels, taints, diskGiB: 500 }),
    );

    expect(hintsOf(stack, "eks-gpus-nodes-1234567")).toEqual({
      [`${HINTS}/resources/cpu`]: "3920m",
      [`${HINTS}/resources/memory`]: "14162Mi",
      [`${HINTS}/resources/ephemeral-storage`]: "438Gi",
      [`${HINTS}/resources/nvidia.com/gpu`]: "1",
      [`${HINTS}/label/millrace/node-group`]: "gpus",
      [`${HINTS}/label/k8s.amazonaws.com/accelerator`]: "nvidia-l4",
      [`${HINTS}/label/acme.com/pool`]: "vision",
      [`${HINTS}/taint/nvidia.com/gpu`]: "present:NoSchedule",
      [`${HINTS}/taint/acme.com/licensed`]: "yes:NoSchedule",
    });
  });

  it("says the same to EKS and to the autoscaler", async () => {
    const labels = { "acme.com/pool": "vision" };

    const stack = await render(() => {
      const cluster = aCluster();
      new GpuNodeGroup("gpus", { cluster, ...gpus, labels });
      new CpuNodeGroup("cpus", { cluster, ...cpus, labels });
    });

    for (const name of ["gpus", "cpus"]) {
      const { inputs } = stack.one(NODE_GROUP, `${name}-nodes`);
      const hints = hintsOf(stack, `eks-${name}-nodes-1234567`);
      for (const [key, value] of Object.entries(inputs.labels as object))
        expect(hints[`${HINTS}/label/${key}`]).toBe(value);
      for (const { key, value } of inputs.taints as { key: string; value: string }[]) {
        expect(hints[`${HINTS}/taint/${key}`]).toBe(`${value}:NoSchedule`);
      }
      const ofEks = Object.entries(inputs.tags as object).filter(([key]) => key.startsWith(HINTS));
      const resources = Object.entries(hints).filter(([key]) => key.startsWith(`${HINTS}/resources/`));
      expect(Object.fromEntries(ofEks)).toEqual(Object.fromEntries(resources));
    }
  });

  it("launches nodes with encrypted disks, whose credentials no pod reaches, and tags all that they bring", async () => {
    const stack = await render(
      () => new GpuNodeGroup("gpus", { cluster: aCluster(), ...gpus, diskGiB: 200, tags: { team: "vision" } }),
    );

    const { inputs } = stack.one(TEMPLATE, "gpus-nodes-template");
    const disk = { encrypted: "true", volumeType: "gp3", deleteOnTermination: "true" };
    expect(inputs).toMatchObject({
      blockDeviceMappings: [
        { deviceName: "/dev/xvda", ebs: disk },
        { deviceName: "/dev/xvdb", ebs: { ...disk, volumeSize: 200 } },
      ],
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      vpcSecurityGroupIds: ["sg-acme"],
      updateDefaultVersion: true,
    });
    const tags = { Name: "gpus-nodes", "millrace:component": "GpuNodeGroup", "millrace:name": "gpus", team: "vision" };
    expect(inputs.tagSpecifications).toEqual([
      { resourceType: "instance", tags },
      { resourceType: "volume", tags },
      { resourceType: "network-interface", tags },
    ]);
    for (const field of ["imageId", "instanceType", "userData", "keyName"]) expect(inputs).not.toHaveProperty(field);
  });

  it("takes Amazon Linux when told, which has one disk", async () => {
    const amiType = "AL2023_x86_64_NVIDIA";

    const stack = await render(() => new GpuNodeGroup("gpus", { cluster: aCluster(), ...gpus, amiType }));

    expect(stack.one(NODE_GROUP, "gpus-nodes").inputs.amiType).toBe(amiType);
    expect(stack.one(TEMPLATE, "gpus-nodes-template").inputs.blockDeviceMappings).toMatchObject([
      { deviceName: "/dev/xvda", ebs: { volumeSize: 100, encrypted: "true" } },
    ]);
  });

  it("takes spot capacity of several types of one shape, labelled for what they have in common", async () => {
    const stack = await render(() => {
      const cluster = aCluster();
      new GpuNodeGroup("spot", { cluster, instanceTypes: ["g5.xlarge", "g6.xlarge"], capacity: "spot", nodesMax: 8 });
      new GpuNodeGroup("alike", { cluster, instanceTypes: ["p5e.48xlarge", "p5en.48xlarge"], nodesMax: 1 });
    });

    expect(stack.one(NODE_GROUP, "spot-nodes").inputs).toMatchObject({
      ...{ capacityType: "SPOT", instanceTypes: ["g5.xlarge", "g6.xlarge"] },
      labels: { "k8s.amazonaws.com/accelerator": "nvidia-mixed" },
    });
    expect(stack.one(NODE_GROUP, "alike-nodes").inputs.labels).toMatchObject({
      "k8s.amazonaws.com/accelerator": "nvidia-h200",
    });
  });

  it("carries its priority in its name, where the autoscaler looks for it", async () => {
    const stack = await render(() => {
      const cluster = aCluster();
      new GpuNodeGroup("spot", { cluster, ...gpus, capacity: "spot", priority: 2 });
      new GpuNodeGroup("firm", { cluster, ...gpus });
    });

    expect(stack.ofType(NODE_GROUP).map(({ name }) => name)).toEqual(
      expect.arrayContaining(["spot-priority-2", "firm-nodes"]),
    );
    expect(Object.keys(hintsOf(stack, "eks-spot-priority-2-1234567"))).not.toEqual([]);
  });

  it("is of arm64 where its types are", async () => {
    const stack = await render(
      () => new GpuNodeGroup("gpus", { cluster: aCluster(), instanceTypes: ["g5g.xlarge"], nodesMax: 1 }),
    );

    expect(stack.one(NODE_GROUP, "gpus-nodes").inputs.amiType).toBe("BOTTLEROCKET_ARM_64_NVIDIA");
  });
});

describe("CpuNodeGroup", () => {
  it("is as a GPU group, but for GPUs", async () => {
    const stack = await render(() => {
      const cluster = aCluster();
      new CpuNodeGroup("cpus", { cluster, ...cpus, nodesMin: 1 });
      new CpuNodeGroup("graviton", { cluster, instanceTypes: ["c8g.4xlarge"], nodesMax: 2 });
    });

    const { inputs } = stack.one(NODE_GROUP, "cpus-nodes");
    expect(inputs).toMatchObject({
      ...{ amiType: "BOTTLEROCKET_x86_64", instanceTypes: ["m7i.xlarge"] },
      scalingConfig: { minSize: 1, desiredSize: 1, maxSize: 4 },
      taints: [{ key: "millrace/workers", value: "present", effect: "NO_SCHEDULE" }],
      tags: { "millrace:component": "CpuNodeGroup", "millrace:name": "cpus" },
    });
    expect(inputs.labels).toEqual({ "millrace/node-group": "cpus" });
    expect(Object.keys(hintsOf(stack, "eks-cpus-nodes-1234567"))).not.toContain(`${HINTS}/resources/nvidia.com/gpu`);
    expect(stack.one(NODE_GROUP, "graviton-nodes").inputs.amiType).toBe("BOTTLEROCKET_ARM_64");
  });
});

describe("a group of worker nodes", () => {
  it("tells APIs what they may ask of it, in plain values", async () => {
    let groups: readonly WorkerNodeGroup[] = [];

    await render(() => {
      const cluster = aCluster();
      const taints = [{ key: "acme.com/licensed", value: "yes", effect: "NoSchedule" }] as const;
      groups = [new GpuNodeGroup("gpus", { cluster, ...gpus }), new CpuNodeGroup("cpus", { cluster, ...cpus, taints })];
    });

    expect(groups.map(({ cluster, ...plain }) => ({ ...plain, cluster: cluster.kubernetesVersion }))).toMatchObject([
      {
        ...{ kind: "gpu", groupName: "gpus", nodesMax: 8, ephemeralStorageGiB: 86, cluster: "1.35" },
        taints: [{ key: "nvidia.com/gpu", value: "present", effect: "NoSchedule" }],
        shape: {
          ...{ gpus: 1, gpuMemoryGiB: 24, vcpus: 4, memoryGiB: 16, architecture: "amd64" },
          allocatable: { cpuMillis: 3670, memoryMiB: 13_862, pods: 53 },
        },
      },
      {
        ...{ kind: "cpu", groupName: "cpus", nodesMax: 4, ephemeralStorageGiB: 86 },
        taints: [
          { key: "millrace/workers", value: "present", effect: "NoSchedule" },
          { key: "acme.com/licensed", value: "yes", effect: "NoSchedule" },
        ],
        shape: { gpus: 0, gpuMemoryGiB: 0, vcpus: 4, memoryGiB: 16 },
      },
    ]);
  });

  it("lets the autoscaler believe in no more than APIs may ask for, add-ons included", async () => {
    let group: WorkerNodeGroup | undefined;

    const stack = await render(() => {
      group = new GpuNodeGroup("gpus", { cluster: aCluster(), ...gpus });
    });

    const hints = hintsOf(stack, "eks-gpus-nodes-1234567");
    const { cpuMillis, memoryMiB } = group?.shape.allocatable ?? { cpuMillis: 0, memoryMiB: 0 };
    expect(Number.parseInt(String(hints[`${HINTS}/resources/cpu`]))).toBe(cpuMillis + 250);
    expect(Number.parseInt(String(hints[`${HINTS}/resources/memory`]))).toBe(memoryMiB + 300);
    expect(hints[`${HINTS}/resources/ephemeral-storage`]).toBe(`${String(group?.ephemeralStorageGiB)}Gi`);
  });

  it("is previewed with as many resources as it will have, in a cluster that is not there yet", async () => {
    const program = () => new GpuNodeGroup("gpus", { cluster: aClusterOf(), ...gpus });

    const [known, stack] = [await render(program), await render(program, { preview: true })];

    const names = (rendered: RenderedStack) => rendered.resources.map(({ name, type }) => `${type} ${name}`).toSorted();
    expect(names(stack)).toEqual(names(known));
    expect(stack.one(NODE_GROUP, "gpus-nodes").inputs).toMatchObject({
      ...{ nodeRoleArn: UNKNOWN, subnetIds: UNKNOWN, instanceTypes: ["g6.xlarge"] },
      labels: { "millrace/node-group": "gpus" },
    });
    expect(stack.ofType(ASG_TAG).map(({ inputs }) => inputs.autoscalingGroupName)).toContain(UNKNOWN);
  });

  it("is a component of its own: groups of two clusters in one program share nothing", async () => {
    const existing = { ...EXISTING, clusterName: "other" };

    const stack = await render(() => {
      new GpuNodeGroup("one", { cluster: aCluster(), ...gpus });
      new GpuNodeGroup("two", { cluster: aClusterOf({ existing, kubernetesVersion: "1.34" }, "other"), ...gpus });
    });

    const [one, two] = ["one", "two"].map((name) => stack.under(stack.one("millrace:index:GpuNodeGroup", name)));
    expect(one?.map(({ name }) => name.slice(3))).toEqual(two?.map(({ name }) => name.slice(3)));
    expect(stack.one(NODE_GROUP, "one-nodes").inputs).toMatchObject({ clusterName: "acme", version: "1.35" });
    expect(stack.one(NODE_GROUP, "two-nodes").inputs).toMatchObject({ clusterName: "other", version: "1.34" });
  });
});
