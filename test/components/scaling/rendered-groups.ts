/** What the Cluster Autoscaler learns of rendered node groups that have no nodes, and what their nodes will be. */
import type { V1Node, V1Taint } from "@kubernetes/client-node";
import { parse } from "yaml";
import { CPU_INSTANCE_TYPES } from "../../../components/cpu-instance-types.ts";
import { GPU_INSTANCE_TYPES } from "../../../components/gpu-instance-types.ts";
import { computedOutputs } from "../support/computed-outputs.ts";
import type { RenderedStack } from "../support/render.ts";

export const NODE_GROUP = "aws:eks/nodeGroup:NodeGroup";
export const GROUP_TAG = "aws:autoscaling/tag:Tag";
/** Prefix of the tags by which the autoscaler is told of nodes that are not there. */
export const HINT = "k8s.io/cluster-autoscaler/node-template";
export const GPU = "nvidia.com/gpu";

type Texts = Readonly<Record<string, string>>;

export interface ScalingGroup {
  /** Of its Auto Scaling group. */
  readonly name: string;
  readonly nodesMin: number;
  readonly nodesMax: number;
  /** Groups with a higher one grow first. */
  readonly priority: number;
  /** A node of it as the autoscaler imagines it. */
  readonly template: V1Node;
  /** What an instance of it is: EKS tells its kubelet labels and taints and no tags, and its device plugin counts real GPUs. */
  readonly instance: { readonly labels: Texts; readonly taints: readonly V1Taint[]; readonly gpus: number };
}

interface NodeGroupInputs {
  readonly instanceTypes: readonly string[];
  readonly scalingConfig: { readonly minSize: number; readonly maxSize: number };
  readonly labels: Texts;
  readonly taints?: readonly { readonly key: string; readonly value: string; readonly effect: string }[];
  readonly tags: Texts;
}

/** In EKS's spelling and in Kubernetes'. */
const EFFECTS: Texts = { NO_SCHEDULE: "NoSchedule", NO_EXECUTE: "NoExecute", PREFER_NO_SCHEDULE: "PreferNoSchedule" };

/**
 * @param describesNodeGroups whether the autoscaler may ask EKS for a node group's labels, taints and tags (`eks:DescribeNodegroup`);
 *   without that right it has the tags of the Auto Scaling group alone. Default true.
 */
export function groupsOf(stack: RenderedStack, { describesNodeGroups = true } = {}): readonly ScalingGroup[] {
  const levels = priorityLevels(stack);
  return stack.ofType(NODE_GROUP).map(({ name: resource, inputs }) => {
    const group = inputs as unknown as NodeGroupInputs;
    const name = autoscalingGroupOf(resource, inputs);
    const labels = group.labels;
    const taints = (group.taints ?? []).map(({ key, value, effect }) => ({
      key,
      value,
      effect: EFFECTS[effect] ?? "",
    }));
    const told = describesNodeGroups ? { labels, taints, tags: group.tags } : { labels: {}, taints: [], tags: {} };
    const gpus = GPU_INSTANCE_TYPES[group.instanceTypes[0] ?? ""]?.gpus ?? 0;
    return {
      ...{ name, nodesMin: group.scalingConfig.minSize, nodesMax: group.scalingConfig.maxSize },
      priority: Math.max(0, ...levels.filter(([, pattern]) => pattern.test(name)).map(([level]) => level)),
      template: templateNode(group.instanceTypes[0] ?? "", tagsOf(stack, name), told),
      instance: { labels, taints, gpus },
    };
  });
}

/** As the rendering answers for EKS, which makes it. */
function autoscalingGroupOf(name: string, inputs: Readonly<Record<string, unknown>>): string {
  const { resources } = computedOutputs(NODE_GROUP, name, inputs) as unknown as {
    readonly resources: readonly [{ readonly autoscalingGroups: readonly [{ readonly name: string }] }];
  };
  return resources[0].autoscalingGroups[0].name;
}

/** As `buildNodeFromTemplate` in cluster-autoscaler/cloudprovider/aws/aws_manager.go does: what EKS tells wins over tags of the group. */
function templateNode(
  type: string,
  tags: Texts,
  told: { readonly labels: Texts; readonly taints: readonly V1Taint[]; readonly tags: Texts },
): V1Node {
  const facts = GPU_INSTANCE_TYPES[type] ?? CPU_INSTANCE_TYPES[type];
  if (facts === undefined) throw new Error(`${type} is no instance type of the tables`);
  const { vcpus, memoryGiB, architecture } = facts;
  const allocatable = {
    ...{ pods: "110", cpu: String(vcpus), memory: `${String(memoryGiB)}Gi` },
    [GPU]: String(GPU_INSTANCE_TYPES[type]?.gpus ?? 0),
    ...hints(tags, "resources"),
    ...hints(told.tags, "resources"),
  };
  const generic = {
    ...{ "kubernetes.io/arch": architecture, "kubernetes.io/os": "linux" },
    "node.kubernetes.io/instance-type": type,
  };
  const tagged = Object.entries(hints(tags, "taint")).flatMap(([key, text]) => {
    const [, value = "", effect] = /^(.*):(NoSchedule|NoExecute|PreferNoSchedule)$/.exec(text) ?? [];
    return effect === undefined ? [] : [{ key, value, effect }];
  });
  return {
    metadata: { labels: { ...generic, ...hints(tags, "label"), ...told.labels } },
    spec: { taints: [...tagged, ...told.taints] },
    status: { capacity: allocatable, allocatable, conditions: [{ type: "Ready", status: "True" }] },
  };
}

function hints(tags: Texts, kind: "resources" | "label" | "taint"): Texts {
  const prefix = `${HINT}/${kind}/`;
  const ours = Object.entries(tags).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(ours.map(([key, value]) => [key.slice(prefix.length), value]));
}

function tagsOf(stack: RenderedStack, autoscalingGroupName: string): Texts {
  const own = stack.ofType(GROUP_TAG).filter(({ inputs }) => inputs.autoscalingGroupName === autoscalingGroupName);
  return Object.fromEntries(own.map(({ inputs: { tag } }) => [(tag as Texts).key ?? "", (tag as Texts).value ?? ""]));
}

/** Of the priority expander's rendered ConfigMap; none where the cluster's own autoscaler is used. */
function priorityLevels(stack: RenderedStack): readonly (readonly [level: number, pattern: RegExp])[] {
  const maps = stack.ofType("kubernetes:core/v1:ConfigMap").map(({ inputs }) => inputs as { readonly data?: Texts });
  const text = maps.flatMap(({ data }) => data?.priorities ?? []).join("\n");
  const levels = (parse(text) ?? {}) as Readonly<Record<string, readonly string[]>>;
  return Object.entries(levels).flatMap(([level, patterns]) =>
    patterns.map((pattern) => [Number(level), new RegExp(pattern)] as const),
  );
}
