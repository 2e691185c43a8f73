import { constants } from "node:os";
import type { V1ContainerStatus, V1Job, V1ObjectMeta, V1Pod } from "@kubernetes/client-node";
import { WORKER_EXIT } from "../../protocol/exit-codes.ts";
import { workerName } from "../../protocol/keys.ts";
import { WORKER_CONTAINER } from "../../protocol/worker-pods.ts";
import type { GenerationName, PoolWorker } from "../worker-pool.ts";
import { LABEL, LANE_ANNOTATION } from "./generation-job.ts";

const INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index";
/** The kubelet's word for a container that it looked for and did not find: its node was started anew. */
const NOT_FOUND = "ContainerStatusUnknown";
/** `status.reason` of a pod that its node or a controller ended. */
const PLATFORM_REASONS = new Set(["Evicted", "NodeLost", "Preempting", "Shutdown", "NodeShutdown", "Terminated"]);
const SIGNALS = new Map(Object.entries(constants.signals).map(([signal, number]) => [number, signal]));

/** Which generation an object of ours belongs to; undefined when its labels are not ours. */
export function nameOf(metadata: V1ObjectMeta | undefined): GenerationName | undefined {
  const { labels, annotations } = metadata ?? {};
  const { [LABEL.api]: api, [LABEL.job]: job, [LABEL.epoch]: epoch, [LABEL.generation]: generation } = labels ?? {};
  if (api === undefined || job === undefined || epoch === undefined || generation === undefined) return undefined;
  const lane = Number(annotations?.[LANE_ANNOTATION] ?? 0);
  return { api, job, lane, epoch: Number(epoch), generation: Number(generation) };
}

/** A pod's index in its Job. */
export function indexOf(pod: V1Pod): number {
  const { labels, annotations } = pod.metadata ?? {};
  return Number(annotations?.[INDEX_ANNOTATION] ?? labels?.[INDEX_ANNOTATION] ?? 0);
}

/** When an object was made, Unix milliseconds. Listed objects carry a Date, watched ones its text. */
export function createdMs(metadata: V1ObjectMeta | undefined): number {
  const created: Date | string | undefined = metadata?.creationTimestamp;
  return created === undefined ? 0 : new Date(created).getTime();
}

/**
 * What one pod tells of its worker. `ended` rests on the object itself, never on its absence from a cache: its container has
 * terminated, or the pod's phase is final. Kubernetes promises that all containers of a final pod have ended, with one
 * exception: the pod garbage collector writes Failed for a node that was removed or declared out of service, where nobody can
 * look any more. Should such a worker run on, it finds its lane gone and its ledger judged, as any worker that was frozen.
 */
export function podWorker(pod: V1Pod): PoolWorker | undefined {
  const name = nameOf(pod.metadata);
  if (name === undefined) return undefined;
  const index = indexOf(pod);
  const facts = { generation: name.generation, index };
  const { state } = workerStatus(pod) ?? {};
  const uid = pod.metadata?.uid ?? "";
  const worker = workerName(name.epoch, name.generation, index, uid.replaceAll("-", "").slice(0, 8));
  if (state?.terminated !== undefined) return { ...facts, worker, ...ended(pod, state.terminated) };
  if (isFinal(pod))
    return { ...facts, ...(state?.running ? { worker } : {}), phase: "ended", ...disruption(pod, false) };
  if (state?.running !== undefined) return { ...facts, worker, phase: "running", state: runningState(pod) };
  return { ...facts, phase: "pending", state: pendingState(pod) };
}

/** What to tell of a pod whose object is gone: its last facts, ended. Called only when its deletion is certain. */
export function goneWorker(pod: V1Pod): PoolWorker | undefined {
  const last = podWorker(pod);
  if (last === undefined || last.phase === "ended") return last;
  const { generation, index, worker } = last;
  return { generation, index, ...(worker === undefined ? {} : { worker }), phase: "ended", ...disruption(pod, true) };
}

function ended(pod: V1Pod, terminated: NonNullable<NonNullable<V1ContainerStatus["state"]>["terminated"]>) {
  const { exitCode, reason, signal } = terminated;
  if (reason === NOT_FOUND) return { phase: "ended", disrupted: true } as const;
  const signalName = SIGNALS.get(signal !== undefined && signal > 0 ? signal : exitCode - 128);
  const drained = exitCode === WORKER_EXIT.drained || exitCode === WORKER_EXIT.unheard;
  return {
    phase: "ended",
    ...(signalName === undefined ? { exitCode } : { signal: signalName }),
    ...(reason === "OOMKilled" ? { state: "out_of_memory" as const } : disruption(pod, drained)),
  } as const;
}

/** Somebody else than the worker decided about its end: an eviction, a drain, a deletion, a lost node. */
function disruption(pod: V1Pod, certain: boolean): { disrupted?: true } {
  const { metadata, status } = pod;
  const disrupted =
    certain ||
    metadata?.deletionTimestamp !== undefined ||
    PLATFORM_REASONS.has(status?.reason ?? "") ||
    hasCondition(pod, "DisruptionTarget", "True");
  return disrupted ? { disrupted: true } : {};
}

function runningState(pod: V1Pod): NonNullable<PoolWorker["state"]> {
  if (isLost(pod)) return "lost";
  return hasCondition(pod, "Ready", "True") ? "ready" : "starting";
}

function pendingState(pod: V1Pod): NonNullable<PoolWorker["state"]> {
  if (pod.spec?.nodeName === undefined) return "waiting_for_node";
  if (isLost(pod)) return "lost";
  const waiting = containerStatuses(pod).map(({ state }) => state?.waiting?.reason ?? "");
  return waiting.some((reason) => /Image|Registry/.test(reason)) ? "pulling" : "starting";
}

/**
 * Its node does not answer. The node controller then takes the pod's Ready condition away and can say nothing of its
 * containers; a kubelet that answers takes both away together.
 */
export function isLost(pod: V1Pod): boolean {
  if (pod.status?.phase === "Unknown" || pod.status?.reason === "NodeLost") return true;
  const gated = (pod.spec?.readinessGates ?? []).length > 0;
  return !gated && hasCondition(pod, "Ready", "False") && hasCondition(pod, "ContainersReady", "True");
}

export function isFinal(pod: V1Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

export function containerStatuses(pod: V1Pod): readonly V1ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
}

function workerStatus(pod: V1Pod): V1ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find(({ name }) => name === WORKER_CONTAINER);
}

function hasCondition(pod: V1Pod, type: string, status: string): boolean {
  return pod.status?.conditions?.some((condition) => condition.type === type && condition.status === status) ?? false;
}

/**
 * Indexes of a generation that Kubernetes still owes a pod: asked for, neither done nor given up, and without a pod that waits
 * or runs. None when the Job is over or is being deleted.
 */
export function owedIndexes(job: V1Job, occupied: ReadonlySet<number>): number[] {
  if (job.metadata?.deletionTimestamp !== undefined || isOver(job)) return [];
  const { completedIndexes, failedIndexes } = job.status ?? {};
  const over = new Set([...parseIndexes(completedIndexes), ...parseIndexes(failedIndexes), ...occupied]);
  return Array.from({ length: job.spec?.completions ?? 0 }, (_, index) => index).filter((index) => !over.has(index));
}

/** A Job that will make no more pods: complete, failed, or about to be. */
function isOver(job: V1Job): boolean {
  const ends = ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"];
  return job.status?.conditions?.some(({ type, status }) => ends.includes(type) && status === "True") ?? false;
}

/** `1,3-5` as Job status has it. */
function parseIndexes(text: string | undefined): number[] {
  return (text ?? "").split(",").flatMap((range) => {
    if (range === "") return [];
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}
