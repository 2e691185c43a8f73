import type { KubeConfig, V1Job, V1Pod } from "@kubernetes/client-node";
import type { Clock, Random } from "./clock.ts";
import {
  ApiCalls,
  apiClients,
  refusal,
  statusOf,
  unwell,
  type ApiClients,
  type RequestListener,
} from "./kubernetes/api-calls.ts";
import { EndedWorkers } from "./kubernetes/ended-workers.ts";
import { generationFacts, type SeenWorker } from "./kubernetes/generation-facts.ts";
import { generationJob, jobName, type PodSource } from "./kubernetes/generation-job.ts";
import { endJobs, growJob } from "./kubernetes/job-writes.ts";
import { ObjectEvents } from "./kubernetes/object-events.ts";
import { type ObjectMirror } from "./kubernetes/object-mirror.ts";
import { goneWorker, nameOf, podWorker } from "./kubernetes/pod-facts.ts";
import { mirrors } from "./kubernetes/pool-mirrors.ts";
import { podMissingFor, podWaitingFor } from "./kubernetes/waiting-reasons.ts";
import type { GenerationName, PoolWorker, WorkerPool } from "./worker-pool.ts";

export interface KubernetesPoolOptions {
  /** Namespace of the API's worker Jobs. */
  readonly namespace: string;
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly random: Random;
  /** Where the pods of a generation come from: the version that its job is bound to. */
  readonly podSource: (name: GenerationName) => Promise<PodSource>;
  /** Variables of the worker container beside those that name the worker: where the store, the lanes and the logs are. */
  readonly workerEnvironment: (name: GenerationName) => Readonly<Record<string, string>>;
  /** Told of what an operator should know and no caller is told: watches that break, pods that are given up. */
  readonly log?: (message: string) => void;
  /** Told of each request to the API server, by verb and resource. */
  readonly onRequest?: RequestListener;
  /** Told when a worker was first seen to have ended. Must not throw. */
  readonly onEnded?: (name: GenerationName, worker: PoolWorker) => void;
}

/**
 * The cloud's pool: each generation is an Indexed Job, each worker a pod of it, its incarnation the pod's uid.
 *
 * What it answers comes from mirrors of our Jobs and pods. A mirror is a cache, and no decision is trusted to a cache: see
 * `ObjectMirror` for what makes it late at worst and never wrong, and for when it lists anew. An end is told only when the
 * object itself says so (its container has terminated, its phase is final) or when the object is gone for certain; a pod whose
 * node does not answer is `lost` and still counts as running. When the API server does not answer, `workers` throws.
 *
 * Needs, in its namespace: jobs create, get, list, watch, patch, delete; pods list, watch; events list.
 * `close` ends its watches and leaves the Jobs alone: they outlive the service.
 */
export class KubernetesPool implements WorkerPool {
  readonly #options: KubernetesPoolOptions;
  readonly #clients: ApiClients;
  readonly #calls: ApiCalls;
  readonly #jobs: ObjectMirror<V1Job>;
  readonly #pods: ObjectMirror<V1Pod>;
  readonly #events: ObjectEvents;
  readonly #ended = new EndedWorkers();

  constructor(options: KubernetesPoolOptions) {
    this.#options = options;
    this.#clients = apiClients(options.kubeConfig);
    this.#calls = new ApiCalls(options);
    const hooks = { podSeen: (pod: V1Pod) => this.#podSeen(pod), podGone: (pod: V1Pod) => this.#podGone(pod) };
    const { jobs, pods } = mirrors(options, this.#clients, this.#calls, hooks);
    this.#jobs = jobs;
    this.#pods = pods;
    this.#events = new ObjectEvents(this.#clients.core, this.#calls, options.clock, options.namespace);
  }

  async start(name: GenerationName, workers: number): Promise<void> {
    const { namespace, podSource, workerEnvironment } = this.#options;
    const { batch } = this.#clients;
    const body = generationJob(name, workers, await podSource(name), workerEnvironment(name));
    try {
      this.#jobs.note(await this.#calls.ask("create", "jobs", () => batch.createNamespacedJob({ namespace, body })));
    } catch (error) {
      if (statusOf(error) !== 409) throw refusal(`the workers of job ${name.job}`, error);
      // made before: by this driver's last try, or by another replica; read, so that this process sees it from now on
      const read = () => batch.readNamespacedJob({ namespace, name: jobName(name) });
      const made = await this.#calls.ask("get", "jobs", read).catch(ignoreMissing);
      if (made !== undefined) this.#jobs.note(made);
    }
  }

  async resize(name: GenerationName, workers: number): Promise<void> {
    const grown = await growJob(this.#options, this.#clients, this.#calls, name, workers);
    if (grown !== undefined) this.#jobs.note(grown);
  }

  async workers(job: string, epoch: number): Promise<readonly PoolWorker[]> {
    this.#follow();
    const isOurs = ({ metadata }: V1Job | V1Pod) => {
      const name = nameOf(metadata);
      return name?.job === job && name.epoch === epoch;
    };
    // Jobs first: a pod of a Job that came between the two is told without its Job, never an index without its pod.
    const known = async () => [await this.#jobs.fresh(), await this.#pods.fresh()] as const;
    const [jobs, pods] = await known().catch(throwUnwell("its workers cannot be watched"));
    return this.#explained(generationFacts(jobs.filter(isOurs), pods.filter(isOurs), this.#ended.of(job, epoch)));
  }

  async stop(job: string, epoch: number): Promise<void> {
    this.#follow();
    const ending = endJobs(this.#options, this.#clients, this.#calls, this.#pods, job, epoch);
    const deleted = await ending.catch(throwUnwell(`the workers of job ${job} cannot be ended`));
    for (const { metadata, spec } of deleted) {
      const name = nameOf(metadata);
      if (name === undefined) continue;
      // An index that never had a pod ended as well: nobody will ever run under it.
      const known = new Set(
        [...this.#ended.of(job, name.epoch).values()].map(
          ({ generation, index }) => `${String(generation)}-${String(index)}`,
        ),
      );
      for (let index = 0; index < (spec?.completions ?? 0); index += 1) {
        const place = `${String(name.generation)}-${String(index)}`;
        if (!known.has(place))
          this.#ended.add(job, name.epoch, place, { generation: name.generation, index, phase: "ended" });
      }
      this.#ended.stopped(job, name.epoch);
    }
  }

  async probe(): Promise<void> {
    const { namespace } = this.#options;
    const list = () => this.#clients.batch.listNamespacedJob({ namespace, limit: 1 });
    await this.#calls.ask("list", "jobs", list, 1).catch(throwUnwell(`namespace ${namespace}`));
  }

  /** Ends the watches; the Jobs stay. */
  async close(): Promise<void> {
    await Promise.all([this.#jobs.close(), this.#pods.close()]);
  }

  #follow(): void {
    this.#jobs.start();
    this.#pods.start();
  }

  /**
   * With words for those that wait. Pods of a generation are alike, so events are asked of one of each generation, and of its
   * Job: a thousand that wait cost what one does.
   */
  #explained(seen: readonly SeenWorker[]): PoolWorker[] {
    const asked = new Map<number, string>();
    return seen.map(({ facts, pod, job, ends }) => {
      if (facts.phase !== "pending") return facts;
      if (pod !== undefined) {
        const uid = asked.get(facts.generation) ?? pod.metadata?.uid ?? "";
        asked.set(facts.generation, uid);
        return { ...facts, waitingFor: podWaitingFor(pod, this.#events.of(uid)) };
      }
      if (job === undefined) return facts;
      const events = this.#events.of(job.metadata?.uid ?? "");
      return { ...facts, waitingFor: podMissingFor(job, facts.index, ends, events) };
    });
  }

  #podSeen(pod: V1Pod): void {
    const worker = podWorker(pod);
    if (worker?.phase === "ended") this.#remember(pod, worker);
  }

  #podGone(pod: V1Pod): void {
    const worker = goneWorker(pod);
    if (worker !== undefined) this.#remember(pod, worker);
  }

  #remember(pod: V1Pod, worker: PoolWorker): void {
    const name = nameOf(pod.metadata);
    if (name === undefined) return;
    if (this.#ended.add(name.job, name.epoch, pod.metadata?.uid ?? "", worker)) this.#options.onEnded?.(name, worker);
  }
}

function throwUnwell(what: string): (error: unknown) => never {
  return (error) => {
    throw unwell(what, error);
  };
}

function ignoreMissing(error: unknown): undefined {
  if (statusOf(error) !== 404) throw error;
}
