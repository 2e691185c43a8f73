import { PatchStrategy, setHeaderOptions, type V1Job, type V1Pod } from "@kubernetes/client-node";
import type { Clock } from "../clock.ts";
import type { GenerationName } from "../worker-pool.ts";
import { refusal, statusOf, type ApiCalls, type ApiClients } from "./api-calls.ts";
import { jobName, LABEL } from "./generation-job.ts";
import type { ObjectMirror } from "./object-mirror.ts";
import { isLost, nameOf } from "./pod-facts.ts";

interface WriteOptions {
  readonly namespace: string;
  readonly clock: Clock;
  readonly log?: (message: string) => void;
}

const RESIZE_TRIES = 5;
/** How long after their own grace pods may take to go, before they are given up. */
const GIVE_UP_SECONDS = 60;
/** The same where every pod that is left stands on a node that does not answer. */
const GIVE_UP_LOST_SECONDS = 5;
const LOOK_MS = 250;
/** While a watch stands the mirror hears of each end itself; a list now and then is for the case that it does not. */
const LIST_MS = 5_000;

/**
 * Raises a generation's size, and answers the Job; undefined when it does not exist or is large enough. `completions` and
 * `parallelism` change together, as an Indexed Job demands, and only from the size that was read: two replicas at once cannot
 * lower what the other has raised.
 */
export async function growJob(
  { namespace }: WriteOptions,
  { batch }: ApiClients,
  calls: ApiCalls,
  name: GenerationName,
  workers: number,
): Promise<V1Job | undefined> {
  const target = { namespace, name: jobName(name) };
  for (let tries = 1; ; tries += 1) {
    try {
      const { metadata, spec } = await calls.ask("get", "jobs", () => batch.readNamespacedJob(target));
      if ((spec?.completions ?? 0) >= workers || metadata?.deletionTimestamp !== undefined) return undefined;
      const body = {
        metadata: { resourceVersion: metadata?.resourceVersion },
        spec: { completions: workers, parallelism: workers },
      };
      const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
      return await calls.ask("patch", "jobs", () => batch.patchNamespacedJob({ ...target, body }, merge));
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      // the Job's status moved between the two, or somebody else resized it
      if (statusOf(error) !== 409 || tries >= RESIZE_TRIES) throw refusal(`more workers of job ${name.job}`, error);
    }
  }
}

/**
 * Deletes the Jobs of a job up to an epoch, waits until their pods are gone, and answers the Jobs. Deletion is in the
 * foreground: the Job stays, marked, as long as a pod of it does, so that every replica sees what is still ending.
 *
 * Pods on a node that does not answer only go when the node comes back or is removed, and forcing them is a right that the
 * service does not have, with reason: it would free the name and end nothing. They are given up after their grace, with a word
 * in the log; a worker that lives on there finds that its lane names another job and leaves.
 */
export async function endJobs(
  { namespace, clock, log }: WriteOptions,
  { batch }: ApiClients,
  calls: ApiCalls,
  pods: ObjectMirror<V1Pod>,
  job: string,
  epoch: number,
): Promise<readonly V1Job[]> {
  const labelSelector = `${LABEL.managedBy}=millrace,${LABEL.job}=${job}`;
  const list = () => batch.listNamespacedJob({ namespace, labelSelector });
  const isMeant = ({ metadata }: V1Job | V1Pod) => {
    const name = nameOf(metadata);
    return name?.job === job && name.epoch <= epoch;
  };
  const { items } = await calls.ask("list", "jobs", list);
  const doomed = items.filter(isMeant);
  // seen before they go, so that their ends are told
  await pods.fresh();
  for (const { metadata } of doomed) {
    const target = { namespace, name: metadata?.name ?? "", body: { propagationPolicy: "Foreground" } };
    await calls.ask("delete", "jobs", () => batch.deleteNamespacedJob(target)).catch(ignoreMissing);
  }
  await pods.list();
  const graces = doomed.map(({ spec }) => spec?.template.spec?.terminationGracePeriodSeconds ?? 30);
  const graceSeconds = Math.max(0, ...graces);
  const begunMs = clock.monotonicMs();
  for (let listedMs = begunMs; ;) {
    const left = (await pods.fresh()).filter(isMeant);
    if (left.length === 0) return doomed;
    const nowMs = clock.monotonicMs();
    const limitSeconds = graceSeconds + (left.every(isLost) ? GIVE_UP_LOST_SECONDS : GIVE_UP_SECONDS);
    if (nowMs - begunMs > 1000 * limitSeconds) {
      const names = left
        .slice(0, 5)
        .map(({ metadata, spec }) => `${metadata?.name ?? ""} on ${spec?.nodeName ?? "no node"}`);
      const rest = left.length > names.length ? ` and ${String(left.length - names.length)} more` : "";
      log?.(`job ${job}: given up, as they do not go: ${names.join(", ")}${rest}; look at their nodes`);
      return doomed;
    }
    await clock.sleep(LOOK_MS);
    if (nowMs - listedMs < LIST_MS) continue;
    listedMs = nowMs;
    await pods.list();
  }
}

function ignoreMissing(error: unknown): void {
  if (statusOf(error) !== 404) throw error;
}
