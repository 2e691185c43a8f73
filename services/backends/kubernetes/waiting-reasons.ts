import type { CoreV1Event, V1ContainerStatus, V1Job, V1Pod } from "@kubernetes/client-node";
import { containerStatuses, isLost } from "./pod-facts.ts";
import { unschedulableWords } from "./unschedulable.ts";

const WORDS_MAX = 500;

/**
 * Why a worker waits whose pod exists, in words with the fix. From the pod's conditions, then its containers' states, then
 * what was told about it in events; newest events first.
 */
export function podWaitingFor(pod: V1Pod, events: readonly CoreV1Event[]): string {
  const told = new Told(events);
  if (pod.spec?.nodeName === undefined) return bounded(nodeWords(pod, told));
  if (isLost(pod)) return "its node does not answer; Kubernetes replaces the worker when the node is given up";
  const waiting = containerStatuses(pod).find(({ state }) => isTrouble(state?.waiting?.reason));
  if (waiting !== undefined) return bounded(containerWords(waiting, told));
  return bounded(startWords(pod, told));
}

/**
 * Why an index has no pod: what the Job controller was answered when it asked for one.
 *
 * @param ends how often a worker of this index has ended already
 */
export function podMissingFor(job: V1Job, index: number, ends: number, events: readonly CoreV1Event[]): string {
  if (job.spec?.suspend === true) {
    return "its Job is suspended: a queue such as Kueue lets it start when there is room, or a person resumes it";
  }
  const refused = new Told(events).newest("FailedCreate");
  if (refused !== undefined) return bounded(refusedWords(refused));
  if (ends > 0) {
    return `worker ${String(index)} ended ${times(ends)} and is started again soon; the job's logs say why`;
  }
  return "Kubernetes has not made its pod yet";
}

/** Events by reason, the newest of each. */
class Told {
  readonly #newest = new Map<string, string>();

  constructor(events: readonly CoreV1Event[]) {
    for (const { reason, message } of [...events].sort((a, b) => timeMs(b) - timeMs(a))) {
      if (reason !== undefined && !this.#newest.has(reason)) this.#newest.set(reason, message ?? "");
    }
  }

  newest(...reasons: readonly string[]): string | undefined {
    for (const [reason, message] of this.#newest) if (reasons.includes(reason)) return message;
    return undefined;
  }
}

function timeMs({ lastTimestamp, eventTime, metadata }: CoreV1Event): number {
  const time: unknown = lastTimestamp ?? eventTime ?? metadata.creationTimestamp;
  return time instanceof Date || typeof time === "string" ? new Date(time).getTime() : 0;
}

function nodeWords(pod: V1Pod, told: Told): string {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.reason === "SchedulingGated") {
    return "its pod is gated: whoever set the pod's scheduling gates has to take them away";
  }
  const up = told.newest("TriggeredScaleUp", "NotTriggerScaleUp");
  const group = up === undefined ? undefined : scaleUpWords(up);
  if (scheduled?.reason !== "Unschedulable") return group ?? "the scheduler has not looked at its pod yet";
  const words = unschedulableWords(scheduled.message ?? "", pod);
  return group === undefined ? words : `${group}; ${words}`;
}

/** The Cluster Autoscaler's words: "pod triggered scale-up: …" or "pod didn't trigger scale-up: …". */
function scaleUpWords(message: string): string {
  if (message.startsWith("pod triggered scale-up")) {
    const groups = /\[\{(.*)\}\]/.exec(message)?.[1];
    return `a node is on its way${groups === undefined ? "" : ` (${groups})`}`;
  }
  const reasons = message.replace(/^pod didn't trigger scale-up( \(it wouldn't fit if a new node is added\))?:? ?/, "");
  if (reasons.includes("max node group size reached")) {
    return "its node group is at its maximum size: raise nodesMax, or wait until other jobs free nodes";
  }
  if (reasons.includes("in backoff after failed scale-up")) {
    return "its node group could not grow (no capacity, or an AWS quota): allow more instance types or raise the quota";
  }
  const short = /Insufficient ([^\s,]+)/.exec(reasons)?.[1];
  if (short !== undefined) {
    return `no node group has nodes with enough ${short}: ask for less, or add a group of larger instances`;
  }
  return `no node group can grow for it${reasons === "" ? "" : `: ${reasons}`}`;
}

/** Container states that do not pass by themselves in a moment. */
function isTrouble(reason: string | undefined): boolean {
  return reason !== undefined && reason !== "ContainerCreating" && reason !== "PodInitializing";
}

function containerWords({ name, image, state, lastState }: V1ContainerStatus, told: Told): string {
  const { reason = "", message = "" } = state?.waiting ?? {};
  if (reason === "InvalidImageName") return `${JSON.stringify(image)} is no name of an image: correct the API's image`;
  if (reason === "ErrImageNeverPull") {
    return `image ${image} is not on the node and its pull policy is Never: load it there, or let it be pulled`;
  }
  if (/Image|Registry/.test(reason)) {
    // "Back-off pulling image" alone hides why: the event of the pull that failed has it
    const text =
      message.includes("rpc error") || reason === "ErrImagePull" ? message : (told.newest("Failed") ?? message);
    return `image ${image} cannot be pulled: ${text}; check its name and tag, and that the nodes may read its registry`;
  }
  if (reason === "CreateContainerConfigError") return configWords(message);
  if (reason === "CrashLoopBackOff") {
    const code = lastState?.terminated?.exitCode;
    return `container ${name} ends again and again${code === undefined ? "" : ` (exit code ${String(code)})`}: read its logs`;
  }
  return `container ${name} cannot start: ${message === "" ? reason : message}`;
}

function configWords(message: string): string {
  const missing = /^(secret|configmap) "([^"]+)" not found/.exec(message);
  if (missing !== null) {
    const kind = missing[1] === "secret" ? "secret" : "config map";
    return `${kind} ${missing[2] ?? ""} does not exist: create it in the workers' namespace`;
  }
  return `its configuration cannot be made: ${message}; correct the Secret or ConfigMap that the pod template names`;
}

const VOLUME_TROUBLES = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"];

function startWords(pod: V1Pod, told: Told): string {
  const volume = told.newest(...VOLUME_TROUBLES);
  if (volume !== undefined) return `its volume cannot be mounted: ${volume}; check that what the volume names exists`;
  const sandbox = told.newest("FailedCreatePodSandBox", "NetworkNotReady");
  if (sandbox !== undefined) return `its node cannot give it a network: ${sandbox}; check the node's network plugin`;
  const devices = told.newest("FailedPrepareDynamicResources", "UnexpectedAdmissionError");
  if (devices !== undefined) return `its node cannot give it its devices: ${devices}`;
  const image = pod.spec?.containers[0]?.image ?? "";
  const pulls = told.newest("Pulling", "Pulled", "Created", "Started");
  if (pulls?.startsWith("Pulling") === true) return `its node pulls ${imageOf(pulls) ?? `image ${image}`}`;
  return "its pod is starting";
}

function imageOf(pulling: string): string | undefined {
  const image = /Pulling image "([^"]+)"/.exec(pulling)?.[1];
  return image === undefined ? undefined : `image ${image}`;
}

/** FailedCreate: the API server refused the Job controller's pod. */
function refusedWords(message: string): string {
  const quota = /exceeded quota: ([^,]+), requested: (.*?), used: (.*?), limited: (.*)$/s.exec(message);
  if (quota !== null) {
    const [, name = "", requested = "", used = "", limited = ""] = quota;
    return `quota ${name} is used up (asked ${requested}, used ${used}, limit ${limited}): raise it, or wait until others end`;
  }
  const security = /violates PodSecurity "?([^":]+):?[^"]*"?: (.*)$/s.exec(message);
  if (security !== null) {
    const [, level = "", why = ""] = security;
    return `pod security "${level}" of its namespace refuses the pod template: ${why}; correct the template`;
  }
  const account = /serviceaccount "([^"]+)" not found/i.exec(message)?.[1];
  if (account !== undefined) return `service account ${account} does not exist: create it in the workers' namespace`;
  const text = message.replace(/^Error creating: /, "");
  if (/admission webhook "[^"]+" denied/.test(text)) return `an admission webhook refuses the pod template: ${text}`;
  if (text.includes("failed calling webhook")) return `an admission webhook of the cluster does not answer: ${text}`;
  return `Kubernetes refuses its pod: ${text}`;
}

function times(count: number): string {
  return count === 1 ? "once" : `${String(count)} times`;
}

function bounded(words: string): string {
  return words.length <= WORDS_MAX ? words : `${words.slice(0, WORDS_MAX - 1)}…`;
}
