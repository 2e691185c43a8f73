/** Jobs and pods for the tests of the cluster itself, and what is read of them. */
import {
  BatchV1Api,
  CoreV1Api,
  Watch,
  type KubeConfig,
  type V1Job,
  type V1Pod,
  type V1PodSpec,
} from "@kubernetes/client-node";
import { awaitWith } from "../support/cluster-process.ts";
import { BUSYBOX_IMAGE } from "../support/cluster.ts";

export interface JobShape {
  readonly namespace: string;
  readonly name: string;
  readonly completions: number;
  /** Run by a shell in each pod. */
  readonly script: string;
  readonly pod?: Partial<V1PodSpec>;
  readonly memoryLimit?: string;
}

/** An Indexed Job as a worker pool makes them: one pod an index, disruptions free, replaced only once they are over. */
export async function createJob(admin: KubeConfig, shape: JobShape): Promise<void> {
  const { namespace, name, completions, script, pod, memoryLimit = "64Mi" } = shape;
  const body: V1Job = {
    metadata: { name },
    spec: {
      completionMode: "Indexed",
      completions,
      parallelism: completions,
      backoffLimitPerIndex: 1,
      maxFailedIndexes: completions,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }],
      },
      template: {
        spec: {
          restartPolicy: "Never",
          hostNetwork: true,
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "main",
              image: BUSYBOX_IMAGE,
              imagePullPolicy: "Never",
              args: [script],
              resources: { requests: { cpu: "10m", memory: "16Mi" }, limits: { memory: memoryLimit } },
            },
          ],
          ...pod,
        },
      },
    },
  };
  await admin.makeApiClient(BatchV1Api).createNamespacedJob({ namespace, body });
}

/** Pods of one Job go to different nodes where they can. */
export function spread(job: string): Partial<V1PodSpec> {
  const labelSelector = { matchLabels: { "job-name": job } };
  return {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "ScheduleAnyway", labelSelector },
    ],
  };
}

export async function podsOf(admin: KubeConfig, namespace: string, job: string): Promise<V1Pod[]> {
  const core = admin.makeApiClient(CoreV1Api);
  return (await core.listNamespacedPod({ namespace, labelSelector: `job-name=${job}` })).items;
}

/** All pods of the Job, once that many of them run. */
export function whenRunning(admin: KubeConfig, namespace: string, job: string, count: number): Promise<V1Pod[]> {
  return awaitWith(`${String(count)} pods of ${job} to run`, [], async () => {
    const pods = await podsOf(admin, namespace, job);
    return pods.filter(isRunning).length >= count ? pods : undefined;
  });
}

export function isRunning({ metadata, status }: V1Pod): boolean {
  return status?.phase === "Running" && metadata?.deletionTimestamp === undefined;
}

/** The Job, once that condition of it is true (`Complete`, `Failed`). */
export function whenJob(admin: KubeConfig, namespace: string, name: string, condition: string): Promise<V1Job> {
  const batch = admin.makeApiClient(BatchV1Api);
  return awaitWith(`job ${name} to be ${condition}`, [], async () => {
    const job = await batch.readNamespacedJob({ namespace, name });
    const conditions = job.status?.conditions ?? [];
    return conditions.some(({ type, status }) => type === condition && status === "True") ? job : undefined;
  });
}

/** What a watch told of the pods of a namespace, in its order. */
export interface PodEvent {
  readonly kind: string;
  readonly name: string;
  readonly index: string;
  readonly phase: string;
  /** Types of the conditions that are true. */
  readonly conditions: readonly string[];
}

/** Watches until `stop`. */
export async function watchPods(
  admin: KubeConfig,
  namespace: string,
): Promise<{ readonly events: readonly PodEvent[]; stop(): void }> {
  const events: PodEvent[] = [];
  const controller = await new Watch(admin).watch(
    `/api/v1/namespaces/${namespace}/pods`,
    {},
    (kind, pod: V1Pod) => {
      const { name = "", annotations = {} } = pod.metadata ?? {};
      const index = annotations["batch.kubernetes.io/job-completion-index"] ?? "";
      const conditions = (pod.status?.conditions ?? []).flatMap(({ type, status }) =>
        status === "True" ? [type] : [],
      );
      events.push({ kind, name, index, phase: pod.status?.phase ?? "", conditions });
    },
    () => undefined,
  );
  return {
    events,
    stop: () => {
      controller.abort();
    },
  };
}
