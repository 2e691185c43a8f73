import type { V1Job, V1PodTemplateSpec, V1ResourceRequirements } from "@kubernetes/client-node";
import { ENV } from "../../protocol/environment.ts";
import { WORKER_EXIT } from "../../protocol/exit-codes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { EnvironmentPlace } from "../environment-archive.ts";
import { LABEL, WORKER_CONTAINER } from "./generation-job.ts";

/** A key is 32 hex digits. */
export function builderJobName(key: string): string {
  return `environment-${key}`;
}

const TRIES = 3;
const FINISHED_TTL_SECONDS = 600;

/**
 * The Job that builds one environment: the worker's container alone, in the worker's image, without its accelerators. What it
 * says last is its termination message. Try again comes from Kubernetes: a node may be taken away.
 */
export function builderJob(
  { api, key }: EnvironmentPlace,
  template: V1PodTemplateSpec,
  options: { readonly workerEnvironment: Readonly<Record<string, string>>; readonly serviceAccount?: string },
): V1Job {
  const { initContainers: _sidecars, ...spec } = template.spec ?? { containers: [] };
  const worker = spec.containers.find(({ name }) => name === WORKER_CONTAINER);
  if (worker === undefined) throw new Error('the pod template has no container named "worker"; name one so');
  const { readinessProbe: _ready, livenessProbe: _live, startupProbe: _start, resources, ...container } = worker;
  const values = { ...options.workerEnvironment, [ENV.api]: api, [ENV.buildEnvironment]: key };
  const own = (worker.env ?? []).filter(({ name }) => !(name in values));
  const labels = { [LABEL.managedBy]: "millrace", [LABEL.api]: api };
  const account = options.serviceAccount ?? spec.serviceAccountName;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: builderJobName(key), labels },
    spec: {
      backoffLimit: TRIES - 1,
      activeDeadlineSeconds: LIMITS.environmentSecondsMax,
      ttlSecondsAfterFinished: FINISHED_TTL_SECONDS,
      // What cannot be installed cannot be installed the next time either.
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          {
            action: "FailJob",
            onExitCodes: { containerName: WORKER_CONTAINER, operator: "In", values: [WORKER_EXIT.buildFailed] },
          },
        ],
      },
      template: {
        metadata: { labels },
        spec: {
          ...spec,
          restartPolicy: "Never",
          ...(account === undefined ? {} : { serviceAccountName: account }),
          containers: [
            {
              ...container,
              ...(resources === undefined ? {} : { resources: withoutDevices(resources) }),
              terminationMessagePolicy: "FallbackToLogsOnError",
              env: [...Object.entries(values).map(([name, value]) => ({ name, value })), ...own],
            },
          ],
        },
      },
    },
  };
}

/** Processor and memory as the worker has them; an installer needs no accelerator. */
function withoutDevices({ requests, limits }: Pick<V1ResourceRequirements, "requests" | "limits">) {
  return { ...(requests && { requests: ordinary(requests) }), ...(limits && { limits: ordinary(limits) }) };
}

function ordinary(quantities: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(quantities).filter(([resource]) => !resource.includes("/")));
}
