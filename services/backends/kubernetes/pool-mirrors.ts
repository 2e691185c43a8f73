import { Watch, type KubeConfig, type V1Job, type V1Pod } from "@kubernetes/client-node";
import type { Clock, Random } from "../clock.ts";
import { statusOf, wordsOf, type ApiCalls, type ApiClients, type RequestListener } from "./api-calls.ts";
import { LABEL } from "./generation-job.ts";
import { ObjectMirror, type MirrorOptions, type WatchListener } from "./object-mirror.ts";

/** All Jobs and pods of ours in the namespace, and nothing of anybody else's. */
const OURS = `${LABEL.managedBy}=millrace,${LABEL.job}`;
/** Objects a page: some 2 MB of pods. */
const PAGE = 500;
const LIST_TRIES = 3;

interface MirrorsOptions {
  readonly namespace: string;
  readonly kubeConfig: KubeConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: (message: string) => void;
  readonly onRequest?: RequestListener;
}

interface PodHooks {
  readonly podSeen: (pod: V1Pod) => void;
  readonly podGone: (pod: V1Pod) => void;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly metadata?: { readonly resourceVersion?: string; readonly _continue?: string };
}

/** The pool's two mirrors: our Jobs and their pods. */
export function mirrors(options: MirrorsOptions, { batch, core }: ApiClients, calls: ApiCalls, hooks: PodHooks) {
  const { namespace } = options;
  const query = { namespace, labelSelector: OURS, limit: PAGE };
  const listJobs = (_continue: string) =>
    batch.listNamespacedJob({ ...query, ...(_continue === "" ? {} : { _continue }) });
  const listPods = (_continue: string) =>
    core.listNamespacedPod({ ...query, ...(_continue === "" ? {} : { _continue }) });
  return {
    jobs: new ObjectMirror<V1Job>({
      ...common(options, "jobs", `/apis/batch/v1/namespaces/${namespace}/jobs`),
      list: () => listAll(calls, "jobs", listJobs),
    }),
    pods: new ObjectMirror<V1Pod>({
      ...common(options, "pods", `/api/v1/namespaces/${namespace}/pods`),
      list: () => listAll(calls, "pods", listPods),
      onSeen: hooks.podSeen,
      onGone: hooks.podGone,
    }),
  };
}

function common(
  options: MirrorsOptions,
  resource: string,
  path: string,
): Pick<MirrorOptions<V1Pod>, "resource" | "clock" | "random" | "watch" | "onTrouble"> {
  const { kubeConfig, clock, random, log, onRequest } = options;
  const watch = (resourceVersion: string, listener: WatchListener, done: (error: unknown) => void) => {
    onRequest?.("watch", resource);
    const query = { labelSelector: OURS, resourceVersion, allowWatchBookmarks: true };
    return new Watch(kubeConfig).watch(path, query, listener, done);
  };
  const onTrouble = (error: unknown) =>
    log?.(`the watch of ${resource} broke and is taken up again: ${wordsOf(error)}`);
  return { resource, clock, random, watch, onTrouble };
}

/**
 * All pages of one consistent list. The pages after the first are of the first one's state; when that has become too old
 * meanwhile (410), the list begins anew.
 */
async function listAll<T>(calls: ApiCalls, resource: string, page: (from: string) => Promise<Page<T>>) {
  for (let tries = 1; ; tries += 1) {
    try {
      const items: T[] = [];
      for (let from = ""; ;) {
        const { items: some, metadata } = await calls.ask("list", resource, () => page(from));
        items.push(...some);
        from = metadata?._continue ?? "";
        if (from === "") return { items, resourceVersion: metadata?.resourceVersion ?? "" };
      }
    } catch (error) {
      if (statusOf(error) !== 410 || tries >= LIST_TRIES) throw error;
    }
  }
}
