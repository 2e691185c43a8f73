/** What worker pods are made from: the declared PodTemplate, kept in each version of the API. */
import type { KubeConfig, V1PodTemplateSpec } from "@kubernetes/client-node";
import type { Environment } from "../backends/cloud-config.ts";
import type { PodSource } from "../backends/kubernetes/generation-job.ts";
import { apiClients } from "../backends/kubernetes/api-calls.ts";
import { readPodTemplate, type DeclaredTemplate } from "../backends/kubernetes/pod-templates.ts";
import { workerPods } from "../protocol/worker-pods.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import { PoolRefused, type GenerationName } from "../backends/worker-pool.ts";
import type { ApiSpec } from "../protocol/api-spec.ts";
import { ENV } from "../protocol/environment.ts";
import type { PodTemplate } from "../protocol/jobs.ts";
import { Problem } from "../protocol/problems.ts";
import type { FittedTemplate } from "./apis/apis.ts";
import type { ServiceConfig } from "./config.ts";
import { readSpec } from "./jobs/view.ts";
import { versionOf } from "./jobs/versions.ts";

/** Writable in every worker pod: the images' HOME, and the template's own volume where its root is read-only. */
const SCRATCH = "/tmp/millrace";
/** What the SDKs of a worker need to be told, where the service was. */
const HANDED_ON = [
  "AWS_ENDPOINT_URL",
  "AWS_ENDPOINT_URL_S3",
  "AWS_ENDPOINT_URL_SQS",
  "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
];

/** Reads the template that the API's owner declared, each time anew: it may be updated. Throws `Problem`. */
export function declaredTemplate(
  kubeConfig: KubeConfig,
  namespace: string,
  name: string,
): () => Promise<DeclaredTemplate> {
  const { core } = apiClients(kubeConfig);
  return () => readPodTemplate(core, namespace, name).catch(unusable);
}

/** The declared template fitted to a spec, for a version to keep. Throws `Problem`. */
export function podTemplateOf(declared: () => Promise<DeclaredTemplate>): (spec: ApiSpec) => Promise<FittedTemplate> {
  return async (spec) => {
    const { template, age } = await declared();
    return { template: fitTemplate(spec, template), age };
  };
}

/** Throws `Problem`. */
export function fitTemplate(spec: ApiSpec, template: V1PodTemplateSpec): PodTemplate {
  try {
    return workerPods(spec, template) as unknown as PodTemplate; // a literal, kept as JSON
  } catch (error) {
    return unusable(error);
  }
}

function unusable(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  throw new Problem("pod_template_unusable", message, [], { cause: error });
}

/** The template of the version that a generation's job is bound to. Throws `PoolRefused` when it has none. */
export function podSourceOf(store: ObjectStore): (name: GenerationName) => Promise<PodSource> {
  return async ({ api, job }) => {
    const spec = await readSpec(store, api, job);
    const { pod_template: template, version } = await versionOf(store, api, spec.version);
    if (template === undefined) {
      const fix = "deploy the API to this service, and submit the job again";
      throw new PoolRefused(`version ${version} of API ${api} was deployed where workers are no pods; ${fix}`);
    }
    return { podTemplate: template as unknown as V1PodTemplateSpec, deadlineSeconds: spec.timeout_seconds };
  };
}

/** Where the store, the lanes and the logs are, for workers and builders. */
export function workerEnvironmentOf(config: ServiceConfig, environment: Environment): Readonly<Record<string, string>> {
  const handedOn = HANDED_ON.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(handedOn),
    AWS_REGION: config.region,
    [ENV.api]: config.api,
    [ENV.store]: `s3://${config.bucket}`,
    [ENV.lanes]: config.laneUrls.join(","),
    [ENV.logGroup]: config.logGroup,
    [ENV.leaseSeconds]: String(config.leaseSeconds),
    [ENV.scratch]: SCRATCH,
  };
}
