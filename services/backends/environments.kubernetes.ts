/**
 * Environments in a cluster: each is built once per (files that ask for it, worker image), by a Kubernetes Job that runs the
 * workers' own image, and kept in the store (`environment-archive.ts`). Workers only unpack.
 */
import type { CoreV1Api, BatchV1Api, KubeConfig, V1Job, V1Pod, V1PodTemplateSpec } from "@kubernetes/client-node";
import { apiKeys } from "../protocol/keys.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Clock, Random } from "./clock.ts";
import { environmentEnd, packRequest, type EnvironmentPlace } from "./environment-archive.ts";
import { askingFiles, imageEnvironmentKey, type Dependencies } from "../project/environment-key.ts";
import { EnvironmentFailed, refuseWhatDoesNotWork, type Environments } from "./environments.ts";
import { ApiCalls, apiClients, refusal, statusOf } from "./kubernetes/api-calls.ts";
import { builderJob, builderJobName } from "./kubernetes/builder-job.ts";
import { WORKER_CONTAINER } from "../protocol/worker-pods.ts";
import { ObjectEvents } from "./kubernetes/object-events.ts";
import { podMissingFor, podWaitingFor } from "./kubernetes/waiting-reasons.ts";
import type { ObjectStore } from "./object-store.ts";
import type { ProjectFiles } from "../project/project-files.ts";
import { PoolRefused } from "./worker-pool.ts";

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

/** An environment by its key, and all that it takes to make it. */
export interface WantedEnvironment {
  readonly key: string;
  /** Whose worker's image it is for. */
  readonly template: V1PodTemplateSpec;
  readonly files: ProjectFiles;
  readonly dependencies: Dependencies;
}

const LOOK_MS = 1_000;
/** How much longer than the Job's own deadline is waited for it: the API server may be away. */
const PATIENCE_SECONDS = 120;

/** A builder's Job as it was seen. */
type Seen =
  | { readonly kind: "absent" }
  | { readonly kind: "complete"; readonly uid: string }
  | { readonly kind: "failed"; readonly uid: string; readonly error: EnvironmentFailed }
  /** Why it waits; empty while it works. */
  | { readonly kind: "living"; readonly waits: string };

/** Builders of one key share the Job: its name is made of the key, and whoever finds the environment made has it. */
export class JobEnvironments implements Environments {
  readonly #options: JobEnvironmentsOptions;
  readonly #batch: BatchV1Api;
  readonly #core: CoreV1Api;
  readonly #calls: ApiCalls;
  readonly #events: ObjectEvents;

  constructor(options: JobEnvironmentsOptions) {
    this.#options = options;
    const { batch, core } = apiClients(options.kubeConfig);
    this.#batch = batch;
    this.#core = core;
    this.#calls = new ApiCalls(options);
    this.#events = new ObjectEvents(core, this.#calls, options.clock, options.namespace);
  }

  async build(
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<string | null> {
    if (Object.keys(askingFiles(files, dependencies)).length === 0) return null;
    refuseWhatDoesNotWork(files, dependencies);
    return this.buildOn(await this.#options.podTemplate(), files, dependencies, progress, signal);
  }

  /** As `build`, in the worker's image of that template. */
  async buildOn(
    template: V1PodTemplateSpec,
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<string | null> {
    const image = template.spec?.containers.find(({ name }) => name === WORKER_CONTAINER)?.image ?? "";
    const key = imageEnvironmentKey(files, dependencies, image);
    if (key === null) return null;
    refuseWhatDoesNotWork(files, dependencies);
    await this.make({ key, template, files, dependencies }, progress, signal);
    return key;
  }

  /** Makes the environment of that key, or finds it made. */
  async make(
    { key, template, files, dependencies }: WantedEnvironment,
    progress: (sentence: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, api } = this.#options;
    const place = { store, api, key };
    if ((await environmentEnd(place)) !== undefined) return;
    await store.put(apiKeys(api).environmentRequest(key), await packRequest({ files, dependencies }));
    progress("making the environment in a Job of its own (once: it is kept for later uses)");
    // What has ended stays for some minutes, for whoever wants to read its log.
    await this.#run(place, builderJob(place, template, this.#options), progress, signal);
  }

  async #run(
    place: EnvironmentPlace,
    body: V1Job,
    progress: (sentence: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options;
    const name = builderJobName(place);
    const giveUpMs = clock.monotonicMs() + (LIMITS.environmentSecondsMax + PATIENCE_SECONDS) * 1000;
    let [waits, said] = ["", ""];
    for (let fresh = true; clock.monotonicMs() < giveUpMs; fresh = false) {
      const seen = await this.#look(name);
      // Asked after the look: what has ended may have made it in between.
      if ((await environmentEnd(place)) !== undefined) return;
      // One that failed before we came was of an earlier try; one that fails while we wait was ours as well.
      if (seen.kind === "failed" && !fresh) throw seen.error;
      if (seen.kind === "failed" || seen.kind === "complete") await this.#remove(name, seen.uid);
      if (seen.kind !== "living") await this.#start(body);
      const before = waits;
      waits = seen.kind === "living" ? seen.waits : "";
      if (waits !== "" && waits === before && waits !== said) {
        progress(`the environment's builder waits: ${waits}`);
        said = waits;
      }
      await clock.sleep(LOOK_MS, signal);
    }
    const why = said === "" ? "" : `; its builder waited: ${said}`;
    throw new EnvironmentFailed(`the environment was not made within ${HOURS}${why}`);
  }

  async #start(body: V1Job): Promise<void> {
    const { namespace } = this.#options;
    try {
      await this.#calls.ask("create", "jobs", () => this.#batch.createNamespacedJob({ namespace, body }));
    } catch (error) {
      if (statusOf(error) === 409) return; // another replica builds the same
      if (isSilence(error)) return; // the next look tells
      throw refusedFor(error);
    }
  }

  async #look(name: string): Promise<Seen> {
    const { namespace } = this.#options;
    try {
      const job = await this.#calls.ask("get", "jobs", () => this.#batch.readNamespacedJob({ namespace, name }));
      // By the Job's uid: pods of one that had this name before it may still be there.
      const labelSelector = `batch.kubernetes.io/controller-uid=${job.metadata?.uid ?? ""}`;
      const list = () => this.#core.listNamespacedPod({ namespace, labelSelector });
      const { items } = await this.#calls.ask("list", "pods", list);
      return this.#seen(
        job,
        items.sort((a, b) => bornMs(a) - bornMs(b)),
      );
    } catch (error) {
      if (statusOf(error) === 404) return { kind: "absent" };
      // It builds on without us.
      if (isSilence(error)) return { kind: "living", waits: error instanceof Error ? error.message : String(error) };
      throw refusedFor(error);
    }
  }

  #seen(job: V1Job, pods: readonly V1Pod[]): Seen {
    const isSo = (condition: string) => {
      return job.status?.conditions?.find(({ type, status }) => type === condition && status === "True");
    };
    if (job.metadata?.deletionTimestamp !== undefined) return { kind: "living", waits: "" };
    const uid = job.metadata?.uid ?? "";
    if (isSo("Complete") !== undefined) return { kind: "complete", uid };
    const failed = isSo("Failed");
    const pod = pods.at(-1);
    if (failed !== undefined) {
      return { kind: "failed", uid, error: failureOf(pod, failed.reason ?? "", failed.message ?? "its Job failed") };
    }
    if (pod === undefined) {
      const events = this.#events.of(uid);
      return { kind: "living", waits: podMissingFor(job, 0, job.status?.failed ?? 0, events) };
    }
    if (pod.status?.phase !== "Pending") return { kind: "living", waits: "" };
    return { kind: "living", waits: podWaitingFor(pod, this.#events.of(pod.metadata?.uid ?? "")) };
  }

  /** This one and no other: another replica may have begun anew under its name. */
  async #remove(name: string, uid: string): Promise<void> {
    const { namespace } = this.#options;
    const request = { namespace, name, propagationPolicy: "Background", body: { preconditions: { uid } } };
    await this.#calls.ask("delete", "jobs", () => this.#batch.deleteNamespacedJob(request)).catch(() => undefined); // its time to live ends it
  }
}

/** What comes back the same however often it is asked is the deployment's fault; quotas and rights are the cluster's. */
function refusedFor(error: unknown): Error {
  const refused = refusal("the environment's builder", error);
  return refused instanceof PoolRefused ? new EnvironmentFailed(refused.message, "", error) : refused;
}

/** The API server did not answer; what it answered for good has a status. */
function isSilence(error: unknown): boolean {
  return statusOf(error) === undefined;
}

const HOURS = `${String(LIMITS.environmentSecondsMax)} s`;

/** What its container said last, if it said what cannot be installed; else what became of it. */
function failureOf(pod: V1Pod | undefined, reason: string, words: string): EnvironmentFailed {
  const ended = pod?.status?.containerStatuses?.find(({ name }) => name === WORKER_CONTAINER)?.state?.terminated;
  const said = ended?.message ?? "";
  if (ended?.exitCode === WORKER_EXIT.buildFailed && said !== "") {
    const [message = "", ...tail] = said.split("\n");
    return new EnvironmentFailed(message, tail.join("\n"));
  }
  if (ended?.reason === "OOMKilled") {
    return new EnvironmentFailed(
      "the environment's builder ran out of memory; raise compute.mem, or the pod template's",
    );
  }
  const late = `it took longer than ${HOURS}; ask for less, or bake it into the worker's image`;
  const exit = ended === undefined ? words : `its builder ended with exit code ${String(ended.exitCode)}`;
  const how = reason === "DeadlineExceeded" ? late : exit;
  return new EnvironmentFailed(`the environment could not be made: ${how}`, said);
}

function bornMs(pod: V1Pod): number {
  return pod.metadata?.creationTimestamp?.getTime() ?? 0;
}
