/** What groups of worker nodes have in common: from none to many, for pods that ask for them by name. */
import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { BatchCluster } from "./batch-cluster.ts";
import { PRIORITY, prioritySuffix } from "./cluster/autoscaler.ts";
import { autoScalingGroupNameOf, defaultAmiType, NODE_GROUP_LABEL, nodeTemplate } from "./cluster/node-template.ts";
import { CPU_INSTANCE_TYPES } from "./cpu-instance-types.ts";
import { GPU_INSTANCE_TYPES } from "./gpu-instance-types.ts";
import { type InstanceShape, kubeletAllocatable, shapeOf } from "./instance-shape.ts";
import { ownTags, type Tags } from "./tags.ts";

export interface WorkerNodeGroupArgs {
  readonly cluster: BatchCluster;
  /**
   * One or more instance types of one shape: vCPUs, memory, GPUs and their memory, architecture. The first free one is taken, so
   * several make spot capacity likelier: `["g5.xlarge", "g6.xlarge"]`.
   */
  readonly instanceTypes: readonly string[];
  /** `spot` is two thirds cheaper, and may be taken away with two minutes' notice: batches then run again elsewhere. Default `onDemand`. */
  readonly capacity?: "onDemand" | "spot";
  /**
   * Which group grows first when several would do, 1 to 9: higher ones before lower ones, and those of one priority by the least
   * waste. Spot at 2 beside on demand at 1: on demand begins once spot has given no node for 15 minutes. Default 1. A change replaces
   * the group.
   */
  readonly priority?: number;
  /** Nodes that are there without work, 0 to 450; default 0. To raise it on a group that has fewer nodes, scale the group first. */
  readonly nodesMin?: number;
  /** Nodes at most, 1 to 450. */
  readonly nodesMax: number;
  /** Disk of a node, 20 to 16,384 GiB; default 100: images, environments, what handlers write to `/tmp`. */
  readonly diskGiB?: number;
  /**
   * Kind of image, one of `AMI_TYPES`; default: Bottlerocket for the types' architecture, with NVIDIA's drivers and device plugin
   * for GPUs. Amazon Linux's NVIDIA images bring no device plugin: install one that tolerates the group's taints.
   */
  readonly amiType?: string;
  /** More labels of the nodes. */
  readonly labels?: Readonly<Record<string, string>>;
  /** More taints; workers of APIs that run on this group tolerate them. */
  readonly taints?: readonly NodeTaint[];
  readonly tags?: Tags;
}

/** In Kubernetes' spelling. */
export interface NodeTaint {
  readonly key: string;
  readonly value: string;
  readonly effect: "NoSchedule";
}

/** What a `BatchApi` asks of a group that it runs on. */
export interface WorkerNodeGroup {
  readonly cluster: BatchCluster;
  readonly kind: "gpu" | "cpu";
  /** The component's name, and the value of the nodes' label `millrace/node-group`. */
  readonly groupName: string;
  /** Of all nodes: pods that tolerate these may run there. */
  readonly taints: readonly NodeTaint[];
  /** Of each node. */
  readonly shape: InstanceShape;
  /** Disk that pods may ask for on a node, GiB. */
  readonly ephemeralStorageGiB: number;
  readonly nodesMax: number;
}

/**
 * Label that the autoscaler takes for "this node will have GPUs": without it, it starts one node after the other while the device
 * plugin of the first is still starting.
 */
export const ACCELERATOR_LABEL = "k8s.amazonaws.com/accelerator";

export const GROUP_DEFAULTS = { capacity: "onDemand", priority: PRIORITY.min, nodesMin: 0, diskGiB: 100 } as const;

/** Nothing but workers runs on worker nodes, so that they can go when no worker is left. */
const TAINTS = {
  gpu: { key: "nvidia.com/gpu", value: "present", effect: "NoSchedule" },
  cpu: { key: "millrace/workers", value: "present", effect: "NoSchedule" },
} as const satisfies Record<WorkerNodeGroup["kind"], NodeTaint>;

/** Everything of a group that is known before anything is declared. Of checked arguments. */
interface GroupFacts {
  readonly kind: WorkerNodeGroup["kind"];
  readonly shape: InstanceShape;
  readonly amiType: string;
  readonly diskGiB: number;
  readonly ephemeralStorageGiB: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly NodeTaint[];
  /** What the autoscaler must believe of a node that is not there yet, by tag. */
  readonly resources: Readonly<Record<string, string>>;
}

export function groupFacts(kind: WorkerNodeGroup["kind"], groupName: string, args: WorkerNodeGroupArgs): GroupFacts {
  const shape = shapeOfTypes(args.instanceTypes);
  const { diskGiB = GROUP_DEFAULTS.diskGiB } = args;
  const ephemeralStorageGiB = ephemeralStorageOf(diskGiB);
  const kubelet = kubeletAllocatable(factsOf(args.instanceTypes[0]));
  return {
    ...{ kind, shape, diskGiB, ephemeralStorageGiB },
    amiType: args.amiType ?? defaultAmiType(shape.architecture, kind === "gpu"),
    labels: { ...args.labels, [NODE_GROUP_LABEL]: groupName, ...acceleratorLabel(args.instanceTypes) },
    taints: [TAINTS[kind], ...(args.taints ?? [])],
    resources: {
      cpu: `${String(kubelet.cpuMillis)}m`,
      memory: `${String(kubelet.memoryMiB)}Mi`,
      "ephemeral-storage": `${String(ephemeralStorageGiB)}Gi`,
      ...(shape.gpus > 0 && { "nvidia.com/gpu": String(shape.gpus) }),
    },
  };
}

function factsOf(type: string | undefined) {
  const facts = GPU_INSTANCE_TYPES[type ?? ""] ?? CPU_INSTANCE_TYPES[type ?? ""];
  if (facts === undefined) throw new Error(`${type ?? "no type"} is not in the tables of instance types`);
  return facts;
}

/** Of the first: all have one. */
export function shapeOfTypes([type]: readonly string[]): InstanceShape {
  return shapeOf(factsOf(type), GPU_INSTANCE_TYPES[type ?? ""]);
}

/** The kubelet keeps a tenth free and a GiB for itself, the file system takes 2 %. */
function ephemeralStorageOf(diskGiB: number): number {
  return Math.floor(diskGiB * 0.88) - 2;
}

function acceleratorLabel(types: readonly string[]): Readonly<Record<string, string>> {
  const accelerators = [...new Set(types.flatMap((type) => GPU_INSTANCE_TYPES[type]?.accelerator ?? []))];
  const [only] = accelerators;
  if (only === undefined) return {};
  return { [ACCELERATOR_LABEL]: accelerators.length === 1 ? only : "nvidia-mixed" };
}

const AUTOSCALER = "k8s.io/cluster-autoscaler/node-template";

/**
 * Declares launch template and node group, and tells the autoscaler what a node would be, twice: by tags of the node group, which
 * it asks EKS for, and by tags of the Auto Scaling group, which it reads where that right is missing.
 */
export function createNodeGroup(
  className: string,
  name: string,
  args: WorkerNodeGroupArgs,
  group: GroupFacts,
  parent: pulumi.Resource,
): void {
  const { cluster, instanceTypes, nodesMax } = args;
  const { capacity, nodesMin, priority } = { ...GROUP_DEFAULTS, ...args };
  const tags = ownTags(className, name, args.tags);
  const { amiType, diskGiB } = group;
  const template = { amiType, diskGiB, securityGroupId: cluster.nodeSecurityGroupId, tags };
  const resources = tagged("resources", group.resources);
  const role = priority === PRIORITY.min ? "nodes" : prioritySuffix(priority);
  const nodes = new aws.eks.NodeGroup(
    `${name}-${role}`,
    {
      clusterName: cluster.clusterName,
      version: cluster.kubernetesVersion,
      nodeRoleArn: cluster.nodeRoleArn,
      subnetIds: cluster.nodeSubnetIds,
      ...{ amiType, instanceTypes: [...instanceTypes], capacityType: capacity === "spot" ? "SPOT" : "ON_DEMAND" },
      scalingConfig: { minSize: nodesMin, desiredSize: nodesMin, maxSize: nodesMax },
      labels: group.labels,
      taints: group.taints.map(({ key, value }) => ({ key, value, effect: "NO_SCHEDULE" })),
      launchTemplate: nodeTemplate(`${name}-nodes`, template, parent),
      nodeRepairConfig: { enabled: true },
      // an update replaces node by node, without first asking for GPUs that nobody may have
      updateConfig: { maxUnavailable: 1, updateStrategy: "MINIMAL" },
      tags: { ...tags, ...resources },
    },
    // the autoscaler owns how many there are
    { parent, ignoreChanges: ["scalingConfig.desiredSize"] },
  );
  const autoscalingGroupName = autoScalingGroupNameOf(nodes);
  const taints = Object.fromEntries(group.taints.map(({ key, value, effect }) => [key, `${value}:${effect}`]));
  const all = { ...resources, ...tagged("label", group.labels), ...tagged("taint", taints) };
  for (const [key, value] of Object.entries(all)) {
    const about = key.slice(AUTOSCALER.length + 1).replaceAll("/", "-");
    const tag = { key, value, propagateAtLaunch: false };
    new aws.autoscaling.Tag(`${name}-${about}`, { autoscalingGroupName, tag }, { parent });
  }
}

function tagged(
  kind: "resources" | "label" | "taint",
  values: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [`${AUTOSCALER}/${kind}/${key}`, value]));
}
