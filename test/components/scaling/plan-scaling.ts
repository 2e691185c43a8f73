/** What an autoscaler would do: the Cluster Autoscaler's rules as far as they decide about workers. Pure. */
import type { V1Node, V1Pod } from "@kubernetes/client-node";
import { reasonsAgainst, requestsOf, thousandthsOf } from "./fits.ts";
import { GPU, type ScalingGroup } from "./rendered-groups.ts";

/** A machine of a group. */
export interface Instance {
  readonly group: string;
  /** Undefined until it has registered. */
  readonly node: V1Node | undefined;
}

export interface Seen {
  readonly groups: readonly ScalingGroup[];
  readonly instances: readonly Instance[];
  readonly pods: readonly V1Pod[];
}

export interface ScalingPlan {
  /** How many more nodes, by name of the group. */
  readonly grow: ReadonlyMap<string, number>;
  /** Pods for which a group grows. */
  readonly helped: readonly V1Pod[];
  /** Why no group grows for a pod, in the autoscaler's words. */
  readonly refused: readonly { readonly pod: V1Pod; readonly reasons: string }[];
  /** Names of nodes that could go. */
  readonly unneeded: readonly string[];
}

const SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/** A node with this label has no GPUs only until its device plugin has started. */
const ACCELERATOR = "k8s.amazonaws.com/accelerator";
/** Below this share of what it has, a node's pods are moved elsewhere (`--scale-down-utilization-threshold`). */
const UTILISATION_MIN = 0.5;

interface Bin {
  readonly group: ScalingGroup;
  /** Of a node that is there and ready. */
  readonly name: string | undefined;
  readonly node: V1Node;
  readonly pods: V1Pod[];
}

export function planScaling({ groups, instances, pods }: Seen): ScalingPlan {
  const bins = binsOf({ groups, instances, pods: pods.filter(isLive) });
  const sizes = new Map(groups.map(({ name }) => [name, instances.filter(({ group }) => group === name).length]));
  const grow = new Map<string, number>();
  const added = new Set<Bin>();
  const helped: V1Pod[] = [];
  const refused: { pod: V1Pod; reasons: string }[] = [];
  for (const pod of pods.filter(isUnschedulable)) {
    const found = place(pod, bins);
    if (found !== undefined) {
      if (added.has(found)) helped.push(pod);
      continue;
    }
    const against = groups.map((group) => ({ group, reasons: reasonsAgainstGrowing(group, pod, sizes) }));
    const possible = against.filter(({ reasons }) => reasons.length === 0).map(({ group }) => group);
    const best = possible.toSorted(
      (one, other) => other.priority - one.priority || waste(pod, one) - waste(pod, other),
    )[0];
    if (best === undefined) {
      refused.push({ pod, reasons: counted(against.flatMap(({ reasons }) => reasons)) });
      continue;
    }
    helped.push(pod);
    sizes.set(best.name, (sizes.get(best.name) ?? 0) + 1);
    grow.set(best.name, (grow.get(best.name) ?? 0) + 1);
    const bin = { group: best, name: undefined, node: best.template, pods: [pod] };
    bins.push(bin);
    added.add(bin);
  }
  return { grow, helped, refused, unneeded: unneededOf(bins, sizes) };
}

/** Nodes, and in the place of those that are on their way what they will be. */
function binsOf({ groups, instances, pods }: Seen): Bin[] {
  return instances.flatMap(({ group: name, node }) => {
    const group = groups.find((each) => each.name === name);
    if (group === undefined) return [];
    const nodeName = node?.metadata?.name;
    const own = pods.filter(({ spec }) => nodeName !== undefined && spec?.nodeName === nodeName);
    const isThere = node !== undefined && isReady(node);
    return [{ group, name: isThere ? nodeName : undefined, node: isThere ? node : group.template, pods: own }];
  });
}

function isReady({ metadata, spec, status }: V1Node): boolean {
  const isUp = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
  const awaitsGpus = metadata?.labels?.[ACCELERATOR] !== undefined && thousandthsOf(status?.allocatable?.[GPU]) === 0;
  return isUp && !awaitsGpus && spec?.unschedulable !== true;
}

function isLive({ status }: V1Pod): boolean {
  return status?.phase !== "Succeeded" && status?.phase !== "Failed";
}

export function isUnschedulable({ metadata, spec, status }: V1Pod): boolean {
  const isTold = status?.conditions?.some(({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable");
  return isTold === true && spec?.nodeName === undefined && metadata?.deletionTimestamp === undefined;
}

/** Puts it where it fits; undefined: nowhere. */
function place(pod: V1Pod, bins: readonly Bin[]): Bin | undefined {
  const bin = bins.find(({ node, pods }) => reasonsAgainst(pod, node, pods).length === 0);
  bin?.pods.push(pod);
  return bin;
}

function reasonsAgainstGrowing(group: ScalingGroup, pod: V1Pod, sizes: ReadonlyMap<string, number>): readonly string[] {
  if ((sizes.get(group.name) ?? 0) >= group.nodesMax) return ["max node group size reached"];
  return reasonsAgainst(pod, group.template, []);
}

/** What would stay unused of a node with the pod alone, of processors and memory (`--expander=least-waste`). */
function waste(pod: V1Pod, { template }: ScalingGroup): number {
  const requests = requestsOf(pod);
  const unused = (resource: string) =>
    1 - (requests[resource] ?? 0) / thousandthsOf(template.status?.allocatable?.[resource]);
  return unused("cpu") + unused("memory");
}

/** `2 Insufficient cpu, 1 max node group size reached`: of how many groups. */
function counted(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const words = [...counts].map(([reason, count]) => `${String(count)} ${reason}`);
  return words.toSorted().join(", ");
}

/** Nodes without pods, and those that are hardly used and whose pods may move and have where to go. */
function unneededOf(bins: readonly Bin[], sizes: Map<string, number>): readonly string[] {
  const gone: Bin[] = [];
  for (const bin of bins) {
    const size = sizes.get(bin.group.name) ?? 0;
    if (bin.name === undefined || size <= bin.group.nodesMin) continue;
    const moving = bin.pods.filter((pod) => !isOf(pod, "DaemonSet"));
    const left = bins.filter((each) => each !== bin && !gone.includes(each));
    const rest = left.map((each) => ({ ...each, pods: [...each.pods] }));
    const mayMove = moving.every(isEvictable) && (moving.length === 0 || utilisation(bin) < UTILISATION_MIN);
    if (!mayMove || !moving.every((pod) => place(pod, rest) !== undefined)) continue;
    gone.push(bin);
    sizes.set(bin.group.name, size - 1);
  }
  return gone.flatMap(({ name }) => name ?? []);
}

/** Nobody replaces a pod without a controller. */
function isEvictable({ metadata }: V1Pod): boolean {
  const { ownerReferences = [], annotations = {} } = metadata ?? {};
  return ownerReferences.some(({ controller }) => controller === true) && annotations[SAFE_TO_EVICT] !== "false";
}

function isOf({ metadata }: V1Pod, kind: string): boolean {
  return metadata?.ownerReferences?.some((owner) => owner.kind === kind) === true;
}

/** Of GPUs alone where there are any, else of what is used most. */
function utilisation({ node, pods }: Bin): number {
  const share = (resource: string) => {
    const has = thousandthsOf(node.status?.allocatable?.[resource]);
    return has === 0 ? 0 : pods.reduce((sum, pod) => sum + (requestsOf(pod)[resource] ?? 0), 0) / has;
  };
  return thousandthsOf(node.status?.allocatable?.[GPU]) > 0 ? share(GPU) : Math.max(share("cpu"), share("memory"));
}
