/** The pods that an API's workers run in, as a PodTemplate's `template`. Pure, in Kubernetes' own words. */
import { GPU_RESOURCE, WORKER_CONTAINER } from "../../services/protocol/worker-pods.ts";
import { NODE_GROUP_LABEL } from "../cluster/node-template.ts";
import { CONTAINER_SECURITY, POD_SECURITY } from "../pod-security.ts";
import type { WorkerNodeGroup } from "../worker-node-group.ts";
import { workerLabels, WORKER_ACCOUNT, WORKER_SECRET } from "./names.ts";

/** What a worker gets of its node. */
export interface Compute {
  /** Processors, as Kubernetes writes them: "4", "500m". Default: none asked, so a share of what is free. */
  readonly cpu?: string;
  /** Memory, as Kubernetes writes it: "12Gi". A worker that takes more is killed, and its batches run elsewhere. */
  readonly memory?: string;
  /** Whole GPUs of a worker; default 0. */
  readonly gpus?: number;
  /** Size of /dev/shm, as PyTorch's loaders need: "2Gi". Counts as memory of the worker. Default: 64 MiB. */
  readonly sharedMemory?: string;
}

export interface WorkerTemplateArgs {
  readonly api: string;
  /** By digest. */
  readonly image: string;
  readonly runsOn: readonly WorkerNodeGroup[];
  readonly compute: Compute;
  readonly env: Readonly<Record<string, string>>;
  /** Whether `WORKER_SECRET` has environment variables of theirs. */
  readonly hasSecrets: boolean;
}

/** Inside the two minutes that a Spot interruption leaves; written down, because Kubernetes fills in 30. */
const GRACE_SECONDS = 100;
/** A dead node's workers are replaced after so long; what they held runs elsewhere after their lease. */
const NODE_SILENT_SECONDS = 60;
/** Kubernetes' weights of preferences end at 100. */
const PREFERENCE_MAX = 100;

type Json = Readonly<Record<string, unknown>>;

export function workerTemplate({ api, image, runsOn, compute, env, hasSecrets }: WorkerTemplateArgs): Json {
  const { sharedMemory } = compute;
  return {
    metadata: { labels: { ...workerLabels(api) } },
    spec: {
      serviceAccountName: WORKER_ACCOUNT,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      securityContext: POD_SECURITY,
      ...(runsOn.length === 0 ? {} : { affinity: { nodeAffinity: affinityFor(runsOn) } }),
      tolerations: [...tolerationsFor(runsOn), ...silentNodes()],
      containers: [
        {
          name: WORKER_CONTAINER,
          image,
          resources: resourcesOf(compute),
          env: Object.entries(env).map(([name, value]) => ({ name, value })),
          ...(hasSecrets ? { envFrom: [{ secretRef: { name: WORKER_SECRET } }] } : {}),
          securityContext: CONTAINER_SECURITY,
          volumeMounts: [
            { name: "scratch", mountPath: "/tmp" },
            ...(sharedMemory === undefined ? [] : [{ name: "shared-memory", mountPath: "/dev/shm" }]),
          ],
        },
      ],
      volumes: [
        { name: "scratch", emptyDir: {} },
        ...(sharedMemory === undefined
          ? []
          : [{ name: "shared-memory", emptyDir: { medium: "Memory", sizeLimit: sharedMemory } }]),
      ],
    },
  };
}

/** Only these groups; the first ones rather, where several have room. */
function affinityFor(runsOn: readonly WorkerNodeGroup[]): Json {
  const term = (values: readonly string[]) => ({
    matchExpressions: [{ key: NODE_GROUP_LABEL, operator: "In", values }],
  });
  const preferred = runsOn.slice(0, -1).map(({ groupName }, at) => ({
    weight: Math.max(1, PREFERENCE_MAX - 10 * at),
    preference: term([groupName]),
  }));
  return {
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term(runsOn.map((each) => each.groupName))] },
    ...(preferred.length === 0 ? {} : { preferredDuringSchedulingIgnoredDuringExecution: preferred }),
  };
}

/** Each taint once, whatever groups have it. */
function tolerationsFor(runsOn: readonly WorkerNodeGroup[]): readonly Json[] {
  const taints = new Map(runsOn.flatMap(({ taints: own }) => own.map((taint) => [JSON.stringify(taint), taint])));
  return [...taints.values()].map(({ key, value, effect }) => ({ key, operator: "Equal", value, effect }));
}

function silentNodes(): readonly Json[] {
  return ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map((key) => {
    return { key, operator: "Exists", effect: "NoExecute", tolerationSeconds: NODE_SILENT_SECONDS };
  });
}

function resourcesOf({ cpu, memory, gpus = 0 }: Compute): Json {
  const bound = {
    ...(memory === undefined ? {} : { memory }),
    ...(gpus === 0 ? {} : { [GPU_RESOURCE]: String(gpus) }),
  };
  const requests = { ...(cpu === undefined ? {} : { cpu }), ...bound };
  return {
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(bound).length === 0 ? {} : { limits: bound }),
  };
}
