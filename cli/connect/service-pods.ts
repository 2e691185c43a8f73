/** The pods of an API's service, as they are now. */
import { Watch, type CoreV1Api, type KubeConfig, type V1Pod } from "@kubernetes/client-node";
import { ObjectMirror, type WatchListener } from "../../services/backends/kubernetes/object-mirror.ts";
import { createdMs } from "../../services/backends/kubernetes/pod-facts.ts";
import { podWaitingFor } from "../../services/backends/kubernetes/waiting-reasons.ts";
import { serviceLabels } from "../../services/protocol/service-pods.ts";
import type { Cli } from "../cli.ts";

export interface ServicePodsOptions {
  readonly api: string;
  readonly namespace: string;
  readonly kubeConfig: KubeConfig;
  readonly core: CoreV1Api;
  readonly cli: Pick<Cli, "clock" | "random">;
}

export interface ReadyPod {
  readonly name: string;
  readonly uid: string;
}

/** Follows them by list and watch. */
export class ServicePods {
  readonly #options: ServicePodsOptions;
  readonly #mirror: ObjectMirror<V1Pod>;

  constructor(options: ServicePodsOptions) {
    this.#options = options;
    const { kubeConfig, core, namespace, api, cli } = options;
    const labelSelector = selectorOf(serviceLabels(api));
    this.#mirror = new ObjectMirror<V1Pod>({
      resource: "pods",
      clock: cli.clock,
      random: cli.random,
      list: async () => {
        const { items, metadata } = await core.listNamespacedPod({ namespace, labelSelector });
        return { items, resourceVersion: metadata?.resourceVersion ?? "" };
      },
      watch: (resourceVersion: string, listener: WatchListener, done: (error: unknown) => void) => {
        const query = { labelSelector, resourceVersion, allowWatchBookmarks: true };
        return new Watch(kubeConfig).watch(`/api/v1/namespaces/${namespace}/pods`, query, listener, done);
      },
    });
  }

  /** The first list, whose refusal it throws; from then on it follows them. */
  async start(): Promise<readonly V1Pod[]> {
    await this.#mirror.list();
    this.#mirror.start();
    return this.#mirror.fresh();
  }

  /** Those that take requests, the newest first: a rolling update ends the older ones. Throws when the cluster does not answer. */
  async ready(): Promise<readonly ReadyPod[]> {
    const pods = (await this.#mirror.fresh()).filter(isReady);
    return pods
      .sort((a, b) => createdMs(b.metadata) - createdMs(a.metadata))
      .map(({ metadata }) => ({ name: metadata?.name ?? "", uid: metadata?.uid ?? "" }));
  }

  /** Why none is ready, in words with the fix. */
  async whyNoneReady(): Promise<string> {
    const { core, namespace } = this.#options;
    const pods = (await this.#mirror.fresh()).filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
    const [newest] = [...pods].sort((a, b) => createdMs(b.metadata) - createdMs(a.metadata));
    if (newest === undefined) return "its pods are going, and no new one has come";
    const name = newest.metadata?.name ?? "";
    const told = await core.listNamespacedEvent({ namespace, fieldSelector: `involvedObject.name=${name}` }).then(
      ({ items }) => items,
      () => [], // who may not read events is told less
    );
    const runs = newest.status?.containerStatuses?.every(({ state }) => state?.running !== undefined) === true;
    if (!runs) return `pod ${name}: ${podWaitingFor(newest, told)}`;
    const probe = told.findLast(({ reason }) => reason === "Unhealthy")?.message?.trim();
    const says = probe === undefined || probe === "" ? "" : ` (${probe})`;
    return `pod ${name} runs and is not ready${says}: \`kubectl logs ${name} --namespace ${namespace}\` says more`;
  }

  async close(): Promise<void> {
    await this.#mirror.close();
  }
}

export function selectorOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

function isReady({ metadata, status }: V1Pod): boolean {
  const isGoing = metadata?.deletionTimestamp !== undefined;
  return !isGoing && (status?.conditions ?? []).some((one) => one.type === "Ready" && one.status === "True");
}
