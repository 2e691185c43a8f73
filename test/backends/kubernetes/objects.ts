import type { CoreV1Event, V1ContainerState, V1Job, V1Pod } from "@kubernetes/client-node";
import { generationJob } from "../../../services/backends/kubernetes/generation-job.ts";

export const NAME = { api: "photos", job: "00000000000000aa", lane: 1, epoch: 2, generation: 0 };
export const UID = "0a1b2c3d-4e5f-4a6b-8c7d-0123456789ab";

export interface PodShape {
  readonly index?: number;
  readonly uid?: string;
  readonly node?: string;
  readonly phase?: string;
  readonly reason?: string;
  /** State of the worker container; undefined: the kubelet has told nothing yet. */
  readonly state?: V1ContainerState;
  /** `Type: Status`, or `[status, reason, message]`. */
  readonly conditions?: Readonly<Record<string, string | readonly [string, string, string]>>;
  readonly deleted?: boolean;
  readonly requests?: Readonly<Record<string, string>>;
}

/** A pod as the Job controller makes it, and as the scheduler and the kubelet have filled it so far. */
export function aPod(shape: PodShape = {}): V1Pod {
  const { index = 0, uid = UID, node, phase, reason, state, conditions = {}, deleted, requests = {} } = shape;
  const { labels, annotations } = aJob().spec?.template.metadata ?? {};
  return {
    metadata: {
      labels: { ...labels },
      name: `${NAME.job}-2-g0-${String(index)}-x`,
      uid,
      annotations: { ...annotations, "batch.kubernetes.io/job-completion-index": String(index) },
      ...(deleted === true ? { deletionTimestamp: new Date(0) } : {}),
    },
    spec: {
      containers: [{ name: "worker", image: "registry.example/worker:1", resources: { requests } }],
      ...(node === undefined ? {} : { nodeName: node }),
    },
    status: {
      phase: phase ?? "Pending",
      ...(reason === undefined ? {} : { reason }),
      conditions: Object.entries(conditions).map(([type, value]) => {
        const [status, why, message] = typeof value === "string" ? [value] : value;
        return {
          type,
          status,
          ...(why === undefined ? {} : { reason: why }),
          ...(message === undefined ? {} : { message }),
        };
      }),
      ...(state === undefined ? {} : { containerStatuses: [containerStatus(state)] }),
    },
  };
}

function containerStatus(state: V1ContainerState) {
  const ready = state.running !== undefined;
  return { name: "worker", image: "registry.example/worker:1", imageID: "", ready, restartCount: 0, state };
}

/** A pod that a node has and whose worker container waits for that reason. */
export function waitingPod(reason: string, message = ""): V1Pod {
  return aPod({ node: "node-1", state: { waiting: { reason, message } } });
}

export function unschedulablePod(message: string, requests: Readonly<Record<string, string>> = {}): V1Pod {
  return aPod({ requests, conditions: { PodScheduled: ["False", "Unschedulable", message] } });
}

export function aJob(workers = 2, status: V1Job["status"] = {}): V1Job {
  const podTemplate = { spec: { containers: [{ name: "worker", image: "registry.example/worker:1" }] } };
  return Object.assign(generationJob(NAME, workers, { podTemplate, deadlineSeconds: null }, {}), { status });
}

export function anEvent(reason: string, message: string, atSeconds = 0): CoreV1Event {
  const at = new Date(1000 * atSeconds);
  return { reason, message, lastTimestamp: at, involvedObject: {}, metadata: {} };
}
