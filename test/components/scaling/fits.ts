/** Whether a pod could run on a node, by the scheduler's rules as far as workers' pods use them. */
import type { V1Container, V1Node, V1NodeSelectorTerm, V1Pod, V1Taint, V1Toleration } from "@kubernetes/client-node";
import { bytesOf } from "../../../services/protocol/api-spec.values.ts";

type Amounts = Readonly<Record<string, number>>;

/**
 * In the scheduler's words, of the first of its rules that the pod breaks; none: it fits.
 * @param others pods that are on the node already
 * @throws for a pod that asks for what these rules do not know: such an answer would prove nothing
 */
export function reasonsAgainst(pod: V1Pod, node: V1Node, others: readonly V1Pod[]): readonly string[] {
  refuseUnknown(pod);
  if (node.spec?.unschedulable === true) return ["node(s) were unschedulable"];
  const taint = node.spec?.taints?.find((each) => isInTheWay(each, pod.spec?.tolerations ?? []));
  if (taint !== undefined) return [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`];
  if (!isWanted(pod, node)) return ["node(s) didn't match Pod's node affinity/selector"];
  return shortOf(pod, node, others);
}

function refuseUnknown({ metadata, spec }: V1Pod): void {
  const { affinity = {}, volumes = [], containers = [] } = spec ?? {};
  const unknown = [
    ...Object.keys(affinity).filter((kind) => kind !== "nodeAffinity"),
    ...(["topologySpreadConstraints", "overhead", "resourceClaims", "schedulingGates"] as const).filter(
      (field) => spec?.[field] !== undefined,
    ),
    ...volumes.flatMap((volume) => Object.keys(volume)).filter((kind) => /Claim|ephemeral|csi/.test(kind)),
    ...containers
      .flatMap(({ ports = [] }) => ports.filter(({ hostPort }) => hostPort !== undefined))
      .map(() => "hostPort"),
  ];
  if (unknown.length > 0)
    throw new Error(`pod ${metadata?.name ?? ""} has what is not simulated: ${unknown.join(", ")}`);
}

function isInTheWay(taint: V1Taint, tolerations: readonly V1Toleration[]): boolean {
  if (taint.effect === "PreferNoSchedule") return false;
  return !tolerations.some(({ key = "", operator = "Equal", value = "", effect = "" }) => {
    if (effect !== "" && effect !== taint.effect) return false;
    if (operator === "Exists") return key === "" || key === taint.key;
    return key === taint.key && value === (taint.value ?? "");
  });
}

function isWanted({ spec }: V1Pod, { metadata }: V1Node): boolean {
  const labels = metadata?.labels ?? {};
  const isSelected = Object.entries(spec?.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return isSelected && (required?.nodeSelectorTerms ?? [{}]).some((term) => isMet(term, labels));
}

function isMet(term: V1NodeSelectorTerm, labels: Readonly<Record<string, string>>): boolean {
  if (term.matchFields !== undefined) throw new Error("matchFields are not simulated");
  return (term.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === "In") return value !== undefined && values.includes(value);
    if (operator === "NotIn") return value === undefined || !values.includes(value);
    if (operator === "Exists") return value !== undefined;
    if (operator === "DoesNotExist") return value === undefined;
    throw new Error(`${operator} is not simulated`);
  });
}

function shortOf(pod: V1Pod, { status }: V1Node, others: readonly V1Pod[]): readonly string[] {
  const allocatable = status?.allocatable ?? {};
  const used = total(others.map(requestsOf));
  const podsMax = Number(allocatable.pods ?? 0);
  const short = Object.entries(requestsOf(pod)).filter(([resource, amount]) => {
    return amount > 0 && amount + (used[resource] ?? 0) > thousandthsOf(allocatable[resource]);
  });
  return [
    ...(others.length >= podsMax ? ["Too many pods"] : []),
    ...short.map(([resource]) => `Insufficient ${resource}`),
  ];
}

/** Of a pod, in thousandths: its containers and sidecars together, or the init container that asks for most. */
export function requestsOf({ spec }: V1Pod): Amounts {
  const before = spec?.initContainers ?? [];
  const sidecars = before.filter(({ restartPolicy }) => restartPolicy === "Always");
  const plain = before.filter(({ restartPolicy }) => restartPolicy !== "Always").map(asked);
  const together = total([...(spec?.containers ?? []), ...sidecars].map(asked));
  const most = (one: Amounts, other: Amounts) =>
    Object.fromEntries(
      [...Object.keys(one), ...Object.keys(other)].map((key) => [key, Math.max(one[key] ?? 0, other[key] ?? 0)]),
    );
  return plain.map((init) => total([init, ...sidecars.map(asked)])).reduce(most, together);
}

/** A limit without a request is one: the API server writes it so. */
function asked({ resources }: V1Container): Amounts {
  const texts = { ...resources?.limits, ...resources?.requests };
  return Object.fromEntries(Object.entries(texts).map(([resource, text]) => [resource, thousandthsOf(text)]));
}

function total(amounts: readonly Amounts[]): Amounts {
  const sums: Record<string, number> = {};
  for (const each of amounts) {
    for (const [resource, amount] of Object.entries(each)) sums[resource] = (sums[resource] ?? 0) + amount;
  }
  return sums;
}

/** Of a quantity in Kubernetes' spelling: `3920m`, `4`, `86Gi`. */
export function thousandthsOf(quantity = "0"): number {
  return quantity.endsWith("m") ? Number.parseFloat(quantity) : 1000 * bytesOf(quantity);
}
