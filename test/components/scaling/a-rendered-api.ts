/** An API on node groups as components render both, and the pods that its workers run in. */
import type { V1Job, V1Node, V1Pod, V1PodTemplateSpec } from "@kubernetes/client-node";
import type { BatchCluster } from "../../../components/batch-cluster.ts";
import { BatchApi } from "../../../components/batch-api.ts";
import type { BatchApiArgs } from "../../../components/batch-api-args.ts";
import type { WorkerNodeGroup } from "../../../components/worker-node-group.ts";
import { generationJob } from "../../../services/backends/kubernetes/generation-job.ts";
import type { GenerationName } from "../../../services/backends/worker-pool.ts";
import { aCluster, EXISTING } from "../support/a-cluster.ts";
import { aProject } from "../support/a-project.ts";
import { render, RenderedStack, type DeclaredResource } from "../support/render.ts";
import { GROUP_TAG, HINT, NODE_GROUP } from "./rendered-groups.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
const IMAGES = { service: `registry.example/service@${DIGEST}`, worker: `registry.example/worker@${DIGEST}` };
const NAME: GenerationName = { api: "words", job: "00000000000000aa", lane: 0, epoch: 1, generation: 0 };

interface ApiOnGroups extends Pick<BatchApiArgs, "compute"> {
  readonly groups: (cluster: BatchCluster) => readonly WorkerNodeGroup[];
}

/** API "words", of a small project, runs on the groups in their order, in a cluster that is there and gets our autoscaler. */
export function renderApi({ groups, compute = {} }: ApiOnGroups): Promise<RenderedStack> {
  const path = aProject("words");
  return render(() => {
    const cluster = aCluster({ existing: { ...EXISTING, autoscaler: "install" }, kubernetesVersion: "1.35" });
    const code = { kind: "project", path } as const;
    new BatchApi("words", { cluster, code, image: IMAGES, runsOn: groups(cluster), compute });
  });
}

/** What the service reads in the version object: the pods of this API's workers. */
export function podTemplateOf(stack: RenderedStack): V1PodTemplateSpec {
  const { content } = stack.one("aws:s3/bucketObjectv2:BucketObjectv2", "words-project-version").inputs;
  return (JSON.parse(String(content)) as { readonly pod_template: V1PodTemplateSpec }).pod_template;
}

/** Pods of a job of the API, as the scheduler leaves those that it has no node for. */
export function waitingWorkers(stack: RenderedStack, count: number): V1Pod[] {
  const source = { podTemplate: podTemplateOf(stack), deadlineSeconds: null };
  return podsOf(generationJob(NAME, count, source, {}));
}

function podsOf({ metadata, spec }: V1Job): V1Pod[] {
  const ownerReferences = [
    { apiVersion: "batch/v1", kind: "Job", name: metadata?.name ?? "", uid: "1", controller: true },
  ];
  const { labels = {}, annotations = {} } = spec?.template.metadata ?? {};
  return Array.from({ length: spec?.completions ?? 0 }, (_, index) => ({
    metadata: { name: `worker-${String(index)}`, labels, annotations, ownerReferences },
    spec: spec?.template.spec ?? { containers: [] },
    status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] },
  }));
}

/** The same, but for what `change` does to it. */
export function changed<T extends V1Pod | V1Node>(object: T, change: (draft: T) => void): T {
  const draft = structuredClone(object);
  change(draft);
  return draft;
}

type Inputs = Readonly<Record<string, unknown>>;

/** The stack as it were if the component had a fault: with other inputs for resources of that type. */
export function planted(stack: RenderedStack, type: string, change: (inputs: Inputs) => Inputs): RenderedStack {
  const faulty = (each: DeclaredResource) => (each.type === type ? { ...each, inputs: change(each.inputs) } : each);
  return new RenderedStack(stack.resources.map(faulty), stack.outputs);
}

/** With a hint of another value, or without it, in all places that have it. */
export function withHint(stack: RenderedStack, hint: string, value: string | undefined): RenderedStack {
  const isIt = (key: unknown) => key === `${HINT}/${hint}`;
  const toldToEks = planted(stack, NODE_GROUP, ({ tags, ...inputs }) => {
    const others = Object.entries(tags as object).filter(([key]) => !isIt(key));
    const own = value === undefined ? {} : { [`${HINT}/${hint}`]: value };
    return { ...inputs, tags: { ...Object.fromEntries(others), ...own } };
  });
  const resources = toldToEks.resources.flatMap((each) => {
    const tag = each.type === GROUP_TAG ? (each.inputs.tag as { readonly key: string }) : undefined;
    if (!isIt(tag?.key)) return [each];
    return value === undefined ? [] : [{ ...each, inputs: { ...each.inputs, tag: { ...tag, value } } }];
  });
  return new RenderedStack(resources, stack.outputs);
}

/** With a label of another key on the nodes, and in the tags that tell of it. */
export function withLabelRenamed(stack: RenderedStack, from: string, to: string): RenderedStack {
  const renamed = (labels: object) =>
    Object.fromEntries(Object.entries(labels).map(([key, value]) => [key === from ? to : key, value as unknown]));
  const onNodes = planted(stack, NODE_GROUP, ({ labels, ...inputs }) => ({
    ...inputs,
    labels: renamed(labels as object),
  }));
  return planted(onNodes, GROUP_TAG, ({ tag, ...inputs }) => {
    const { key, ...rest } = tag as { readonly key: string };
    return { ...inputs, tag: { ...rest, key: key === `${HINT}/label/${from}` ? `${HINT}/label/${to}` : key } };
  });
}

/** With a taint more on the nodes. */
export function withTaint(stack: RenderedStack, key: string, value: string): RenderedStack {
  return planted(stack, NODE_GROUP, ({ taints, ...inputs }) => ({
    ...inputs,
    taints: [...(taints as readonly object[]), { key, value, effect: "NO_SCHEDULE" }],
  }));
}
