import type {
  V1Container,
  V1EnvVar,
  V1Job,
  V1ObjectMeta,
  V1OwnerReference,
  V1PodSpec,
  V1PodTemplateSpec,
} from "@kubernetes/client-node";
import { ENV } from "../../protocol/environment.ts";
import { WORKER_EXIT } from "../../protocol/exit-codes.ts";
import { JOB_FILE_CONTAINER, WORKER_CONTAINER, type Literal } from "../../protocol/worker-pods.ts";
import { PoolRefused, type GenerationName } from "../worker-pool.ts";

/** Labels of our Jobs and their pods; selectors and people use them. */
export const LABEL = {
  managedBy: "app.kubernetes.io/managed-by",
  api: "millrace/api",
  job: "millrace/job",
  epoch: "millrace/epoch",
  generation: "millrace/generation",
} as const;
/** Annotation: the lane of a generation. */
export const LANE_ANNOTATION = "millrace/lane";
const SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/** Ends of one index that its own process is to blame for, until the index is given up. */
export const FAILURES_PER_INDEX = 6;
/** How much later than the job's own timeout Kubernetes ends what is left: the driver has ended it long before. */
export const DEADLINE_MARGIN_SECONDS = 3600;
/** How long a generation that ended by itself stays visible; a job's end deletes its Jobs at once. */
export const FINISHED_TTL_SECONDS = 3600;
/** Where a template does not say: inside the two minutes that AWS gives a Spot instance. */
const GRACE_SECONDS = 100;
/** What the Job controller writes itself, and refuses from others. */
export const CONTROLLER_LABELS =
  /^((batch\.kubernetes\.io\/)?(controller-uid|job-name)|batch\.kubernetes\.io\/job-completion-index)$/;
/** Set by the Job controller unless a container has it already. */
const INDEX_VARIABLE = "JOB_COMPLETION_INDEX";

/** What a generation's pods are made from. */
export interface PodSource {
  /** The pod template of the version that the job is bound to; it needs a container named "worker". */
  readonly podTemplate: V1PodTemplateSpec;
  /** The job's timeout, seconds; null: none. */
  readonly deadlineSeconds: number | null;
  /** Deleted together with that object. Never the PodTemplate: an update of the API must not end running jobs. */
  readonly owner?: V1OwnerReference;
}

/** `<job>-<epoch>-g<generation>`: an epoch is given once, so the name says which workers these are. */
export function jobName({ job, epoch, generation }: Pick<GenerationName, "job" | "epoch" | "generation">): string {
  return `${job}-${String(epoch)}-g${String(generation)}`;
}

/**
 * The Indexed Job of a generation. Each index is one worker: a pod that the platform ended (`DisruptionTarget`) or that was
 * drained (exit codes 75 and 143) is replaced and counts for nothing, one that cannot start (64) gives its index up, any other end
 * counts against its index alone. No pod's end fails the Job: that is the driver's judgement. `maxFailedIndexes` stays unset,
 * which means the same as `completions` and needs no care when these are raised.
 *
 * Throws `PoolRefused` when the template has no container named "worker".
 */
export function generationJob(
  name: GenerationName,
  workers: number,
  source: PodSource,
  environment: Readonly<Record<string, string>>,
): V1Job {
  const { deadlineSeconds, owner } = source;
  const labels = generationLabels(name);
  const annotations = { [LANE_ANNOTATION]: String(name.lane) };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: jobName(name),
      labels,
      annotations,
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      completionMode: "Indexed",
      completions: workers,
      parallelism: workers,
      backoffLimitPerIndex: FAILURES_PER_INDEX,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          exitRule("Ignore", WORKER_EXIT.drained, WORKER_EXIT.unheard),
          exitRule("FailIndex", WORKER_EXIT.misconfigured),
        ],
      },
      ...(deadlineSeconds === null
        ? {}
        : { activeDeadlineSeconds: Math.ceil(deadlineSeconds) + DEADLINE_MARGIN_SECONDS }),
      ttlSecondsAfterFinished: FINISHED_TTL_SECONDS,
      template: podTemplate(name, source.podTemplate, labels, environment),
    },
  };
}

export function generationLabels(name: GenerationName): Record<string, string> {
  return {
    [LABEL.managedBy]: "millrace",
    [LABEL.api]: name.api,
    [LABEL.job]: name.job,
    [LABEL.epoch]: String(name.epoch),
    [LABEL.generation]: String(name.generation),
  };
}

function exitRule(action: "Ignore" | "FailIndex", ...exitCodes: readonly number[]) {
  return { action, onExitCodes: { containerName: WORKER_CONTAINER, operator: "In", values: [...exitCodes] } };
}

function podTemplate(
  name: GenerationName,
  { metadata, spec }: { readonly metadata?: V1ObjectMeta; readonly spec?: Literal<V1PodSpec> },
  labels: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>>,
): V1PodTemplateSpec {
  const worker = spec?.containers.find((container) => container.name === WORKER_CONTAINER);
  if (spec === undefined || worker === undefined) {
    const names = (spec?.containers ?? []).map((container) => JSON.stringify(container.name)).join(", ");
    const found = names === "" ? "it has no containers" : `it has ${names}`;
    throw new PoolRefused(
      `the pod template of API ${name.api} has no container named "worker" (${found}); name one so`,
    );
  }
  const graceSeconds = spec.terminationGracePeriodSeconds ?? GRACE_SECONDS;
  const values = { ...environment, [ENV.graceSeconds]: String(graceSeconds) };
  const told = (container: Literal<V1Container>) => workerContainer(name, container, values);
  const own = Object.entries(metadata?.labels ?? {}).filter(([label]) => !CONTROLLER_LABELS.test(label));
  const annotations = { [SAFE_TO_EVICT]: "false", ...metadata?.annotations, [LANE_ANNOTATION]: String(name.lane) };
  return {
    metadata: { labels: { ...Object.fromEntries(own), ...labels }, annotations },
    spec: {
      ...spec,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: graceSeconds,
      ...(spec.initContainers === undefined
        ? {}
        : {
            initContainers: spec.initContainers.map((each) => (each.name === JOB_FILE_CONTAINER ? told(each) : each)),
          }),
      containers: spec.containers.map((each) => (each === worker ? told(each) : each)),
    },
  };
}

/** Ours come first, so that the template's own variables may refer to them. */
function workerContainer(
  name: GenerationName,
  worker: Literal<V1Container>,
  environment: Readonly<Record<string, string>>,
): V1Container {
  const values: Record<string, string> = {
    ...environment,
    [ENV.api]: name.api,
    [ENV.job]: name.job,
    [ENV.lane]: String(name.lane),
    [ENV.epoch]: String(name.epoch),
    [ENV.generation]: String(name.generation),
  };
  const ours: V1EnvVar[] = [
    ...Object.entries(values).map(([variable, value]) => ({ name: variable, value })),
    { name: ENV.podUid, valueFrom: { fieldRef: { fieldPath: "metadata.uid" } } },
  ];
  const taken = new Set([...ours.map((variable) => variable.name), INDEX_VARIABLE]);
  return { ...worker, env: [...ours, ...(worker.env ?? []).filter((variable) => !taken.has(variable.name))] };
}
