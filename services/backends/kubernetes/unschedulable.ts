import type { V1Pod } from "@kubernetes/client-node";

/** What a field of the API spec or of the envelope changes, by resource. */
const RESOURCE_FIXES: Readonly<Record<string, string>> = {
  cpu: "lower compute.cpu or add larger nodes",
  memory: "lower compute.mem or add larger nodes",
  "nvidia.com/gpu": "lower compute.gpu, add GPU nodes, or check that the GPU device plugin runs on them",
  "ephemeral-storage": "lower the template's ephemeral-storage or give the nodes larger disks",
};
const WORDS_MAX = 300;

interface Clause {
  readonly nodes: number;
  readonly words: string;
}

/**
 * The scheduler's sentence ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: …") in words with the fix: which
 * resource is short on how many nodes, how much a worker asks for, what else keeps nodes out. The scheduler does not tell how
 * much the largest node has, and the service has no right to look at nodes.
 */
export function unschedulableWords(message: string, pod: V1Pod): string {
  const claim = /persistentvolumeclaim "?([^" ]+)"? not found/.exec(message)?.[1];
  if (claim !== undefined) return `its volume claim ${claim} does not exist: create it in the workers' namespace`;
  if (/unbound immediate PersistentVolumeClaims/i.test(message)) {
    return "its volume claim is not bound to a volume: check the claim's storage class and size";
  }
  if (message.startsWith("no nodes available")) return "no node fits: the cluster has no nodes yet";
  const found = /^0\/(\d+) nodes are available: (.*?)(?:\. [^.]*preemption:.*|\.?)$/s.exec(message);
  if (found === null) return `no node fits: ${message.slice(0, WORDS_MAX)}`;
  const total = Number(found[1]);
  const words = clauses(found[2] ?? "").map((clause) => clauseWords(clause, total, pod));
  return `no node fits: ${words.join("; ").slice(0, 2 * WORDS_MAX)}`;
}

/** `2 Insufficient cpu, 1 node(s) had untolerated taint {a: b, c}` into its clauses: each begins with a count of nodes. */
function clauses(text: string): Clause[] {
  return text.split(/, (?=\d+ )/).map((clause) => {
    const [, nodes = "0", words = clause] = /^(\d+) (.*)$/s.exec(clause) ?? [];
    return { nodes: Number(nodes), words };
  });
}

function clauseWords({ nodes, words }: Clause, total: number, pod: V1Pod): string {
  const some = `${String(nodes)} of ${String(total)} node${total === 1 ? "" : "s"}`;
  const resource = /^Insufficient (\S+)$/.exec(words)?.[1];
  if (resource !== undefined) {
    const fix = RESOURCE_FIXES[resource] ?? "ask for less or add nodes that have it";
    return `${some} ha${nodes === 1 ? "s" : "ve"} too little ${resource} free${asked(pod, resource)}; ${fix}`;
  }
  if (words === "Too many pods") return `${some} run as many pods as they may; add nodes`;
  const taint = /untolerated taint(?:\(s\))? ?(\{.*\})?/.exec(words);
  if (taint !== null) {
    if (taint[1]?.includes("node.kubernetes.io/") === true) return `${some} not ready (${taint[1]})`;
    return `${some} tainted ${taint[1] ?? ""} without a toleration in the pod template`;
  }
  if (words.includes("didn't match Pod's node affinity/selector")) {
    return `${some} without the labels that the pod template's node selector or affinity asks for; check runsOn`;
  }
  if (words.includes("unschedulable")) return `${some} cordoned`;
  if (/volume/i.test(words)) return `${some} cannot reach its volume (${words})`;
  return `${some}: ${words}`;
}

/** ` (a worker asks for 2)`, summed by nobody: what each container asks for stands side by side. */
function asked(pod: V1Pod, resource: string): string {
  const containers = [
    ...(pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
    ...(pod.spec?.containers ?? []),
  ];
  const amounts = containers.flatMap(({ resources }) => {
    return resources?.requests?.[resource] ?? resources?.limits?.[resource] ?? [];
  });
  return amounts.length === 0 ? "" : ` (a worker asks for ${amounts.join(" + ")})`;
}
