/**
 * Environments in a cluster: each is built once per (files that ask for it, worker image), by a Kubernetes Job that runs the
 * workers' own image, and kept in the store (`environment-archive.ts`). Workers only unpack.
 */
import type { CoreV1Api, BatchV1Api, KubeConfig, V1Job, V1Pod, V1PodTemplateSpec } from "@kubernetes/client-node";
import { apiKeys } from "../protocol/keys.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Clock, Random } from "./clock.ts";
import { environmentEnd, packRequest, type EnvironmentPlace } from "./environment-archive.ts";
import { askingFiles, EnvironmentFailed, environmentKey } from "./environments.ts";
import type { Dependencies, Environments } from "./environments.ts";
import { ApiCalls, apiClients, refusal, statusOf } from "./kubernetes/api-calls.ts";
import { builderJob, builderJobName } from "./kubernetes/builder-job.ts";
import { WORKER_CONTAINER } from "./kubernetes/generation-job.ts";
import { podWaitingFor } from "./kubernetes/waiting-reasons.ts";
import type { ObjectStore } from "./object-store.ts";
import type { ProjectFiles } from "./project-files.ts";

export interface JobEnvironmentsOptions {
  readonly api: string;
  readonly store: ObjectStore;
  readonly namespace: string;
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly random: Random;
  /** The pod template that workers are declared with. */
  readonly podTemplate: () => Promise<V1PodTemplateSpec>;
  /** Where the store is, for the builder. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  /** Its own service account, which may write environments and nothing else; default: the template's. */
  readonly serviceAccount?: string;
}

const LOOK_MS = 1_000;

export class JobEnvironments implements Environments {
  readonly #options: JobEnvironmentsOptions;
  readonly #batch: BatchV1Api;
  readonly #core: CoreV1Api;
  readonly #calls: ApiCalls;

  constructor(options: JobEnvironmentsOptions) {
    this.#options = options;
    const { batch, core } = apiClients(options.kubeConfig);
    this.#batch = batch;
    this.#core = core;
    this.#calls = new ApiCalls(options);
  }

  async build(
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<string | null> {
    if (Object.keys(askingFiles(files, dependencies)).length === 0) return null;
    const { store, api } = this.#options;
    const template = await this.#options.podTemplate();
    const image = template.spec?.containers.find(({ name }) => name === WORKER_CONTAINER)?.image ?? "";
    // What stands for the Python of a machine is the image: the same one has the same Python.
    const key = environmentKey(files, dependencies, { executable: "", version: "", base: `image ${image}` });
    if (key === null) return null;
    const place = { store, api, key };
    if ((await environmentEnd(place)) !== undefined) return key;
    await store.put(apiKeys(api).environmentRequest(key), await packRequest({ files, dependencies }));
    const limit = AbortSignal.timeout(LIMITS.environmentSecondsMax * 1000);
    progress("making the environment in a Job of its own (once: it is kept for later uses)");
    await this.#run(place, template, progress, AbortSignal.any([signal, limit]));
    return key;
  }

  async #run(
    place: EnvironmentPlace,
    template: V1PodTemplateSpec,
    progress: (sentence: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options;
    const name = builderJobName(place.key);
    await this.#start(builderJob(place, template, this.#options));
    let said = "";
    for (;;) {
      if ((await environmentEnd(place)) !== undefined) return this.#remove(name);
      const { job, pod } = await this.#look(name);
      const failed = job?.status?.conditions?.find(({ type, status }) => type === "Failed" && status === "True");
      if (failed !== undefined) {
        // It may have ended well for another try than the one that failed.
        if ((await environmentEnd(place)) !== undefined) return this.#remove(name);
        await this.#remove(name);
        throw failureOf(pod, failed.message ?? failed.reason ?? "its Job failed");
      }
      const waits =
        pod?.status?.phase === "Pending" ? `the environment's builder waits: ${podWaitingFor(pod, [])}` : "";
      if (waits !== "" && waits !== said) progress(waits);
      said = waits;
      if (job === undefined) await this.#start(builderJob(place, template, this.#options)); // another replica removed it
      await clock.sleep(LOOK_MS, signal);
    }
  }

  async #start(body: V1Job): Promise<void> {
    const { namespace } = this.#options;
    try {
      await this.#calls.ask("create", "jobs", () => this.#batch.createNamespacedJob({ namespace, body }));
    } catch (error) {
      if (statusOf(error) === 409) return; // another replica builds the same
      throw new EnvironmentFailed(refusal("the environment's builder", error).message, "", error);
    }
  }

  async #look(name: string): Promise<{ readonly job: V1Job | undefined; readonly pod: V1Pod | undefined }> {
    const { namespace } = this.#options;
    const job = await this.#calls
      .ask("get", "jobs", () => this.#batch.readNamespacedJob({ namespace, name }))
      .catch((error: unknown) => {
        if (statusOf(error) === 404) return undefined;
        throw error;
      });
    const labelSelector = `job-name=${name}`;
    const pods = await this.#calls.ask("list", "pods", () =>
      this.#core.listNamespacedPod({ namespace, labelSelector }),
    );
    const newest = pods.items.sort((a, b) => ageOf(a) - ageOf(b)).at(-1);
    return { job, pod: newest };
  }

  async #remove(name: string): Promise<void> {
    const { namespace } = this.#options;
    const request = { namespace, name, propagationPolicy: "Background" };
    await this.#calls.ask("delete", "jobs", () => this.#batch.deleteNamespacedJob(request)).catch(() => undefined); // its time to live ends it
  }
}

/** The last words of the builder's container, which it left as its termination message. */
function failureOf(pod: V1Pod | undefined, why: string): EnvironmentFailed {
  const ended = pod?.status?.containerStatuses?.find(({ name }) => name === WORKER_CONTAINER)?.state?.terminated;
  const [message = "", ...tail] = (ended?.message ?? "").split("\n");
  if (message !== "") return new EnvironmentFailed(message, tail.join("\n"));
  const how = ended?.reason === "OOMKilled" ? "its builder ran out of memory; raise compute.mem" : why;
  return new EnvironmentFailed(`the environment could not be made: ${how}`);
}

function ageOf(pod: V1Pod): number {
  return pod.metadata?.creationTimestamp?.getTime() ?? 0;
}
