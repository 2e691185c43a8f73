/** What became of each pod of a namespace: told by a watch, since an ended pod's object goes within the second. */
import { CoreV1Api, Watch, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { setTimeout as sleep } from "node:timers/promises";
import { awaitWith } from "./cluster-process.ts";

const AGAIN_MILLISECONDS = 200;
const GONE = "Gone";

export interface PodSeen {
  readonly name: string;
  readonly uid: string;
  /** Millrace's job that it works for; empty: it is no worker. */
  readonly job: string;
  /** Of an Indexed Job. */
  readonly index: number;
  readonly node: string;
  /** Kubernetes' own, or "Gone". */
  readonly phase: string;
  readonly deleting: boolean;
  /** Types of the conditions that were ever true. */
  readonly conditions: ReadonlySet<string>;
  /** Of its first container, once that has ended. */
  readonly exitCode: number | undefined;
}

/** Follows until `stop`, across restarts of the API server. */
export class PodHistory {
  readonly #pods = new Map<string, PodSeen>();
  readonly #admin: KubeConfig;
  readonly #namespace: string;
  readonly #stopped = new AbortController();
  /** How many there were one after the other: the API server ends them, and its death does. */
  watches = 0;

  constructor(admin: KubeConfig, namespace: string) {
    this.#admin = admin;
    this.#namespace = namespace;
    void this.#follow();
  }

  stop(): void {
    this.#stopped.abort();
  }

  get pods(): readonly PodSeen[] {
    return [...this.#pods.values()];
  }

  /** All of it, a line for each pod, for the message of a failed test. */
  told(): string {
    const lines = this.pods.map((pod) => {
      const { name, node, phase, deleting, conditions, exitCode } = pod;
      return [name, node, phase, deleting ? "deleting" : "", String(exitCode ?? ""), ...conditions].join(" ");
    });
    return lines.join("\n");
  }

  /** Workers of a job that run, and are not asked to end. */
  running(job: string): readonly PodSeen[] {
    return this.pods.filter((pod) => pod.job === job && pod.phase === "Running" && !pod.deleting);
  }

  whenRunning(job: string, count: number, seconds = 60): Promise<readonly PodSeen[]> {
    return awaitWith(
      `${String(count)} workers of ${job} to run`,
      [],
      () => {
        const running = this.running(job);
        return running.length >= count ? running : undefined;
      },
      seconds,
    );
  }

  /** The worker of that index that runs now. */
  worker(job: string, index: number): Promise<PodSeen> {
    return awaitWith(`a worker of index ${String(index)} to run`, [], () => {
      return this.running(job).find((pod) => pod.index === index);
    });
  }

  /** That pod, once it looks so. */
  when(what: string, { uid, name }: PodSeen, looks: (pod: PodSeen) => boolean, seconds = 60): Promise<PodSeen> {
    return awaitWith(
      `pod ${name} ${what}`,
      [],
      () => {
        const pod = this.#pods.get(uid);
        return pod !== undefined && looks(pod) ? pod : undefined;
      },
      seconds,
    );
  }

  /** Another pod in that one's place, once it runs. */
  replacementOf({ job, index, uid, name }: PodSeen, seconds = 120): Promise<PodSeen> {
    return awaitWith(
      `a pod in the place of ${name}`,
      [],
      () => this.running(job).find((pod) => pod.index === index && pod.uid !== uid),
      seconds,
    );
  }

  /** Lists and watches again and again: a watch ends by itself, and with the API server. */
  async #follow(): Promise<void> {
    const core = this.#admin.makeApiClient(CoreV1Api);
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        const { items, metadata } = await core.listNamespacedPod({ namespace: this.#namespace });
        this.#noteAll(items);
        await this.#watch(metadata?.resourceVersion ?? "");
      } catch {
        // the API server is away: that is what some tests are about
      }
      await sleep(AGAIN_MILLISECONDS, undefined, { signal }).catch(() => undefined); // stopped
    }
  }

  #watch(resourceVersion: string): Promise<void> {
    const { signal } = this.#stopped;
    this.watches += 1;
    return new Promise((resolve, reject) => {
      new Watch(this.#admin)
        .watch(
          `/api/v1/namespaces/${this.#namespace}/pods`,
          { resourceVersion },
          (kind, pod: V1Pod) => {
            if (kind !== "ERROR") this.#note(pod, kind === "DELETED");
          },
          () => {
            resolve();
          },
        )
        .then((watching) => {
          if (signal.aborted) watching.abort();
          signal.addEventListener("abort", () => {
            watching.abort();
          });
        }, reject);
    });
  }

  /** Those that are not there have gone while nobody watched. */
  #noteAll(pods: readonly V1Pod[]): void {
    const there = new Set(pods.map(({ metadata }) => metadata?.uid));
    for (const [uid, pod] of this.#pods) if (!there.has(uid)) this.#pods.set(uid, { ...pod, phase: GONE });
    for (const pod of pods) this.#note(pod);
  }

  #note({ metadata = {}, spec, status }: V1Pod, isGone = false): void {
    const { uid = "", name = "", labels = {}, annotations = {} } = metadata;
    const known = this.#pods.get(uid);
    const isTrue = (status?.conditions ?? []).filter((condition) => condition.status === "True");
    this.#pods.set(uid, {
      ...{ uid, name },
      job: labels["millrace/job"] ?? "",
      index: Number(annotations["batch.kubernetes.io/job-completion-index"] ?? 0),
      node: spec?.nodeName ?? "",
      phase: isGone ? GONE : (status?.phase ?? ""),
      deleting: metadata.deletionTimestamp !== undefined,
      conditions: new Set([...(known?.conditions ?? []), ...isTrue.map(({ type }) => type)]),
      exitCode: status?.containerStatuses?.[0]?.state?.terminated?.exitCode ?? known?.exitCode,
    });
  }
}
