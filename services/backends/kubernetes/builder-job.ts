import { createHash } from "node:crypto";
import type { V1Container, V1Job, V1PodSpec, V1PodTemplateSpec, V1ResourceRequirements } from "@kubernetes/client-node";
import { ENV } from "../../protocol/environment.ts";
import { WORKER_EXIT } from "../../protocol/exit-codes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { PodTemplateUnfit, WORKER_CONTAINER } from "../../protocol/worker-pods.ts";
import type { EnvironmentPlace } from "../environment-archive.ts";
import { CONTROLLER_LABELS, LABEL } from "./generation-job.ts";

/** Annotation: the environment that a builder makes. */
const ENVIRONMENT_ANNOTATION = "millrace/environment";
const NAME_DIGITS = 32;
const TRIES = 3;
const FINISHED_TTL_SECONDS = 600;

/** Two APIs of one namespace may want the same and keep it apart, and both names together are too long for a Job's. */
export function builderJobName({ api, key }: Pick<EnvironmentPlace, "api" | "key">): string {
  const digest = createHash("sha256").update(`${api}/${key}`).digest("hex");
  return `environment-${digest.slice(0, NAME_DIGITS)}`;
}

/**
 * The Job that builds one environment: the worker's container alone, in the worker's image, without its accelerators. What it
 * says last is its termination message. Another try comes from Kubernetes, because a node may be taken away; what cannot be
 * installed, or is told wrongly, would fail the next time too. Throws `PodTemplateUnfit`.
 */
export function builderJob(
  place: Pick<EnvironmentPlace, "api" | "key">,
  { metadata, spec }: V1PodTemplateSpec,
  options: { readonly workerEnvironment: Readonly<Record<string, string>>; readonly serviceAccount?: string },
): V1Job {
  const worker = spec?.containers.find(({ name }) => name === WORKER_CONTAINER);
  if (spec === undefined || worker === undefined) {
    throw new PodTemplateUnfit(`the pod template has no container named "${WORKER_CONTAINER}"; name the worker's so`);
  }
  const { api, key } = place;
  const labels = { [LABEL.managedBy]: "millrace", [LABEL.api]: api };
  const annotations = { [ENVIRONMENT_ANNOTATION]: key };
  const own = Object.entries(metadata?.labels ?? {}).filter(([label]) => !CONTROLLER_LABELS.test(label));
  const values = { ...options.workerEnvironment, [ENV.api]: api, [ENV.buildEnvironment]: key };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: builderJobName(place), labels, annotations },
    spec: {
      backoffLimit: TRIES - 1,
      activeDeadlineSeconds: LIMITS.environmentSecondsMax,
      ttlSecondsAfterFinished: FINISHED_TTL_SECONDS,
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          {
            action: "FailJob",
            onExitCodes: {
              containerName: WORKER_CONTAINER,
              operator: "In",
              values: [WORKER_EXIT.misconfigured, WORKER_EXIT.buildFailed],
            },
          },
        ],
      },
      template: {
        metadata: {
          labels: { ...Object.fromEntries(own), ...labels },
          annotations: { ...metadata?.annotations, ...annotations },
        },
        spec: builderPod(spec, builderContainer(worker, values), options.serviceAccount ?? spec.serviceAccountName),
      },
    },
  };
}

/** Where the worker would stand, without what only stands beside it. */
function builderPod(spec: V1PodSpec, container: V1Container, serviceAccountName: string | undefined): V1PodSpec {
  const { initContainers: _sidecars, resourceClaims: _devices, serviceAccount: _formerName, ...pod } = spec;
  return {
    ...pod,
    restartPolicy: "Never",
    ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
    containers: [container],
  };
}

/** Ours come first, so that the template's own variables may refer to them. */
function builderContainer(worker: V1Container, values: Readonly<Record<string, string>>): V1Container {
  const { readinessProbe: _ready, livenessProbe: _live, startupProbe: _start, ...unprobed } = worker;
  const { lifecycle: _hooks, ports: _ports, resources, env = [], ...container } = unprobed;
  return {
    ...container,
    ...(resources === undefined ? {} : { resources: withoutDevices(resources) }),
    terminationMessagePolicy: "FallbackToLogsOnError",
    env: [
      ...Object.entries(values).map(([name, value]) => ({ name, value })),
      ...env.filter(({ name }) => !(name in values)),
    ],
  };
}

/** Processor and memory as the worker has them; an installer needs no accelerator. */
function withoutDevices({ requests, limits }: Pick<V1ResourceRequirements, "requests" | "limits">) {
  return { ...(requests && { requests: ordinary(requests) }), ...(limits && { limits: ordinary(limits) }) };
}

function ordinary(quantities: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(quantities).filter(([resource]) => !resource.includes("/")));
}
