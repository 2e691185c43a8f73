import { CoreV1Api, type V1PodTemplateSpec } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { GpuNodeGroup } from "../../../components/gpu-node-group.ts";
import type { KubernetesPool } from "../../../services/backends/worker-pool.kubernetes.ts";
import {
  podTemplateOf,
  renderApi,
  withHint,
  withLabelRenamed,
  withTaint,
} from "../../components/scaling/a-rendered-api.ts";
import { groupsOf } from "../../components/scaling/rendered-groups.ts";
import type { RenderedStack } from "../../components/support/render.ts";
import { awaitWith } from "../support/cluster-process.ts";
import { BUSYBOX_IMAGE, startCluster, type Cluster } from "../support/cluster.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { aPool, isRunning, NAME, POLITE, whenWorkers } from "./a-pool.ts";
import { Autoscaler } from "./an-autoscaler.ts";

const LATER = { ...NAME, job: "00000000000000bb" };
const GROUP = "eks-gpus-nodes-1234567";
/** Two nodes are started, one after the other or together, on a machine that others use. */
const NODES_SECONDS = 240;

describeOnRealNodes("a group of GPU nodes", () => {
  let cluster: Cluster;
  let stack: RenderedStack;
  const endings: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    // four GPUs on a node, two for a worker: two workers on each of at most two nodes
    stack = await renderApi({
      groups: (around) => [new GpuNodeGroup("gpus", { cluster: around, instanceTypes: ["g6.12xlarge"], nodesMax: 2 })],
      compute: { cpu: "10m", memory: "64Mi", gpus: 2 },
    });
    cluster = await startCluster({ nodes: 0 });
  });
  afterEach(async () => {
    for (const end of endings.splice(0)) await end();
  });
  afterAll(() => cluster.stop());

  /** A pool whose workers are the rendered ones, as two replicas have it, in a namespace as strict as the rendered one. */
  async function somePool() {
    const { name: namespace, service } = await cluster.makeNamespace("words", { podSecurity: "restricted" });
    const podTemplate = patched(podTemplateOf(stack));
    const podSource = () => Promise.resolve({ podTemplate, deadlineSeconds: 600 });
    const [pool, other] = [0, 1].map(() => aPool({ service, namespace, options: { podSource } })) as [
      KubernetesPool,
      KubernetesPool,
    ];
    endings.push(() => Promise.all([NAME, LATER].map(({ job, epoch }) => pool.stop(job, epoch))));
    endings.push(() => Promise.all([pool.close(), other.close()]));
    return { pool, other, namespace };
  }

  function anAutoscaler(namespace: string, rendered: RenderedStack, drivers?: Promise<unknown>): Autoscaler {
    const groups = groupsOf(rendered);
    const autoscaler = new Autoscaler({ cluster, groups, namespace, ...(drivers && { drivers }) });
    endings.push(() => autoscaler.end());
    autoscaler.start();
    return autoscaler;
  }

  const told = (pool: KubernetesPool, words: RegExp, job = NAME.job) =>
    whenWorkers(
      pool,
      (workers) => workers.length > 0 && workers.every(({ waitingFor }) => words.test(waitingFor ?? "")),
      45,
      job,
    );

  it("grows from none for the workers of a job, keeps nodes that have one, and shrinks to none", async () => {
    const { pool, other, namespace } = await somePool();
    const drivers = Promise.withResolvers<undefined>();
    endings.unshift(async () => {
      drivers.resolve(undefined);
      await drivers.promise;
    });
    await pool.start(NAME, 4);
    await told(pool, /^no node fits: the cluster has no nodes yet/);

    const autoscaler = anAutoscaler(namespace, stack, drivers.promise);

    await awaitWith("nodes to be on their way", [], () => autoscaler.size > 0);
    await told(other, new RegExp(`^a node is on its way \\(${GROUP} 0->2 \\(max: 2\\)\\); `));
    const nodes = await whenNodes(2);
    for (const { metadata, spec } of nodes) {
      expect(metadata?.labels).toMatchObject({
        "millrace/node-group": "gpus",
        "k8s.amazonaws.com/accelerator": "nvidia-l4",
      });
      expect(spec?.taints).toContainEqual({ key: "nvidia.com/gpu", value: "present", effect: "NoSchedule" });
    }
    const { scans } = autoscaler;
    await awaitWith("two looks at nodes whose GPUs are not told yet", [], () => autoscaler.scans >= scans + 2);
    expect(await saidOf(namespace)).not.toContain("NotTriggerScaleUp");
    drivers.resolve(undefined);
    await whenWorkers(pool, (workers) => workers.filter(isRunning).length === 4, 120);

    await pool.start(LATER, 1);
    await told(pool, /^its node group is at its maximum size: raise nodesMax/, LATER.job);
    await pool.stop(NAME.job, NAME.epoch);
    const [last] = await whenWorkers(pool, (workers) => workers.some(isRunning), 60, LATER.job);
    await awaitWith("the node without a worker to go", [], () => autoscaler.size === 1);
    expect(await pool.workers(LATER.job, LATER.epoch)).toEqual([last]);

    await pool.stop(LATER.job, LATER.epoch);
    await awaitWith("the last node to go", [], () => autoscaler.size === 0);
    expect(autoscaler.sizes).toEqual([0, 2, 1, 0]);
    expect((await cluster.admin.makeApiClient(CoreV1Api).listNode()).items).toEqual([]);
  });

  it.each<[string, (rendered: RenderedStack) => RenderedStack, RegExp]>([
    [
      "label",
      (rendered) => withLabelRenamed(rendered, "millrace/node-group", "millrace/group"),
      /no node group can grow for it: 1 node\(s\) didn't match Pod's node affinity\/selector/,
    ],
    [
      "taint",
      (rendered) => withTaint(rendered, "acme.com/licensed", "yes"),
      /no node group can grow for it: 1 node\(s\) had untolerated taint \{acme\.com\/licensed: yes\}/,
    ],
    [
      "tag",
      (rendered) => withHint(rendered, "resources/nvidia.com/gpu", "1"),
      /no node group has nodes with enough nvidia\.com\/gpu/,
    ],
  ])("does not grow with a wrong %s, and its workers are told why", async (_, plant, words) => {
    const { pool, namespace } = await somePool();
    await pool.start(NAME, 1);

    const autoscaler = anAutoscaler(namespace, plant(stack));

    await told(pool, words);
    expect(autoscaler.sizes).toEqual([0]);
  });

  async function saidOf(namespace: string): Promise<readonly (string | undefined)[]> {
    const { items } = await cluster.admin.makeApiClient(CoreV1Api).listNamespacedEvent({ namespace });
    return items.map(({ reason }) => reason);
  }

  function whenNodes(count: number) {
    const core = cluster.admin.makeApiClient(CoreV1Api);
    return awaitWith(
      `${String(count)} ready nodes`,
      [],
      async () => {
        const { items } = await core.listNode();
        const isReady = (conditions: readonly { type: string; status: string }[] = []) =>
          conditions.some(({ type, status }) => type === "Ready" && status === "True");
        return items.filter(({ status }) => isReady(status?.conditions)).length === count && items;
      },
      NODES_SECONDS,
    );
  }
});

/** The rendered pod with what these nodes have instead of the worker's image and program: a shell that leaves when asked. */
function patched(template: V1PodTemplateSpec): V1PodTemplateSpec {
  const draft = structuredClone(template);
  for (const worker of draft.spec?.containers ?? []) {
    worker.image = BUSYBOX_IMAGE;
    worker.imagePullPolicy = "Never";
    worker.args = [POLITE];
  }
  return draft;
}
