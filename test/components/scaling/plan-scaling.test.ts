import type { V1Node, V1Pod } from "@kubernetes/client-node";
import { beforeAll, describe, expect, it } from "vitest";
import type { BatchCluster } from "../../../components/batch-cluster.ts";
import { CpuNodeGroup } from "../../../components/cpu-node-group.ts";
import { GpuNodeGroup } from "../../../components/gpu-node-group.ts";
import type { RenderedStack } from "../support/render.ts";
import {
  changed,
  planted,
  renderApi,
  waitingWorkers,
  withHint,
  withLabelRenamed,
  withTaint,
} from "./a-rendered-api.ts";
import { planScaling, type Instance } from "./plan-scaling.ts";
import { GPU, groupsOf, NODE_GROUP, type ScalingGroup } from "./rendered-groups.ts";

const GPUS = "eks-gpus-nodes-1234567";
const CPUS = "eks-cpus-nodes-1234567";
const SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/** Nodes of four GPUs and 48 processors. */
const gpuGroup = (cluster: BatchCluster) =>
  new GpuNodeGroup("gpus", { cluster, instanceTypes: ["g6.12xlarge"], nodesMax: 2 });
const cpuGroup = (cluster: BatchCluster) =>
  new CpuNodeGroup("cpus", { cluster, instanceTypes: ["m7i.xlarge"], nodesMax: 4 });

/** Workers that fill a GPU node by two, and a CPU node by three. */
const compute = { cpu: "1", memory: "4Gi" };
let onGpus: RenderedStack;
let onCpus: RenderedStack;

beforeAll(async () => {
  const both = (cluster: BatchCluster) => [gpuGroup(cluster), cpuGroup(cluster)] as const;
  onGpus = await renderApi({ groups: (cluster) => both(cluster).slice(0, 1), compute: { ...compute, gpus: 2 } });
  onCpus = await renderApi({ groups: (cluster) => both(cluster).slice(1), compute });
});

/** What each group grows by, and what is said of pods that nothing grows for. */
function grown(stack: RenderedStack, pods: readonly V1Pod[], groups = groupsOf(stack), instances: Instance[] = []) {
  const plan = planScaling({ groups, instances, pods });
  return { ...Object.fromEntries(plan.grow), refused: [...new Set(plan.refused.map(({ reasons }) => reasons))] };
}

/** A node of the group that has registered, as its instances do. */
function aNode(group: ScalingGroup, name: string, gpus = group.instance.gpus): V1Node {
  const { labels, taints } = group.instance;
  const allocatable = { ...group.template.status?.allocatable, [GPU]: String(gpus) };
  const conditions = [{ type: "Ready", status: "True" }];
  return { metadata: { name, labels }, spec: { taints: [...taints] }, status: { allocatable, conditions } };
}

function groupNamed(stack: RenderedStack, name: string): ScalingGroup {
  const group = groupsOf(stack).find((each) => each.name === name);
  if (group === undefined) throw new Error(`no group ${name} is rendered`);
  return group;
}

function aWorker(): V1Pod {
  const [worker] = waitingWorkers(onGpus, 1);
  if (worker === undefined) throw new Error("one worker was asked for");
  return worker;
}

/** For this alone. */
function asksFor(worker: V1Pod, requests: Readonly<Record<string, string>>): V1Pod {
  return changed(worker, ({ spec }) => {
    for (const container of spec?.containers ?? []) container.resources = { requests: { ...requests } };
  });
}

/** Running on it. */
function on(nodeName: string, worker: V1Pod): V1Pod {
  return changed(worker, (pod) => {
    if (pod.spec !== undefined) pod.spec.nodeName = nodeName;
    pod.status = { phase: "Running" };
  });
}

describe("an empty group, as it is rendered", () => {
  it("grows by as many nodes as its workers need, and no other one does", () => {
    expect(grown(onGpus, waitingWorkers(onGpus, 1))).toEqual({ [GPUS]: 1, refused: [] });
    expect(grown(onGpus, waitingWorkers(onGpus, 4))).toEqual({ [GPUS]: 2, refused: [] });
    expect(grown(onCpus, waitingWorkers(onCpus, 7))).toEqual({ [CPUS]: 3, refused: [] });
  });

  it("tells each worker that a node is on its way for", () => {
    const pods = waitingWorkers(onGpus, 5);

    const { helped } = planScaling({ groups: groupsOf(onGpus), instances: [], pods });

    expect(helped.map(({ metadata }) => metadata?.name)).toEqual(["worker-0", "worker-1", "worker-2", "worker-3"]);
  });

  it("grows to its most, and the rest is told", () => {
    const refused = ["1 max node group size reached, 1 node(s) had untolerated taint {millrace/workers: present}"];

    expect(grown(onGpus, waitingWorkers(onGpus, 9))).toEqual({ [GPUS]: 2, refused });
  });

  it("grows as well where the autoscaler may not ask EKS, by the tags of the Auto Scaling group", () => {
    const groups = groupsOf(onGpus, { describesNodeGroups: false });
    expect(grown(onGpus, waitingWorkers(onGpus, 3), groups)).toEqual({ [GPUS]: 2, refused: [] });

    const ofCpus = groupsOf(onCpus, { describesNodeGroups: false });
    expect(grown(onCpus, waitingWorkers(onCpus, 3), ofCpus)).toEqual({ [CPUS]: 1, refused: [] });
  });

  it("is believed to have what its nodes have", () => {
    for (const { template, instance } of groupsOf(onGpus)) {
      expect(template.metadata?.labels).toMatchObject(instance.labels);
      const taints = (template.spec?.taints ?? []).map((taint) => JSON.stringify(taint));
      expect(new Set(taints)).toEqual(new Set(instance.taints.map((taint) => JSON.stringify(taint))));
      expect(template.status?.allocatable?.[GPU]).toBe(String(instance.gpus));
    }
  });
});

describe("a fault in what is rendered keeps workers waiting:", () => {
  const otherGroup = "1 node(s) had untolerated taint {millrace/workers: present}";

  it.each<[string, (stack: RenderedStack) => RenderedStack, string]>([
    [
      "a label of another name",
      (stack) => withLabelRenamed(stack, "millrace/node-group", "millrace/group"),
      "1 node(s) didn't match Pod's node affinity/selector",
    ],
    [
      "a taint that workers do not tolerate",
      (stack) => withTaint(stack, "acme.com/licensed", "yes"),
      "1 node(s) had untolerated taint {acme.com/licensed: yes}",
    ],
    [
      "a tag of another taint than the nodes have",
      (stack) => withHint(stack, "taint/nvidia.com/gpu", "absent:NoSchedule"),
      "1 node(s) had untolerated taint {nvidia.com/gpu: absent}",
    ],
    ["a tag of no GPUs", (stack) => withHint(stack, `resources/${GPU}`, "0"), `1 Insufficient ${GPU}`],
    ["a tag of too little memory", (stack) => withHint(stack, "resources/memory", "2Gi"), "1 Insufficient memory"],
    ["a tag of too few processors", (stack) => withHint(stack, "resources/cpu", "900m"), "1 Insufficient cpu"],
    [
      "a size of none",
      (stack) => planted(stack, NODE_GROUP, (inputs) => ({ ...inputs, scalingConfig: { minSize: 0, maxSize: 0 } })),
      "2 max node group size reached",
    ],
  ])("%s", (_, plant, reason) => {
    const { refused, ...groups } = grown(onGpus, waitingWorkers(onGpus, 1), groupsOf(plant(onGpus)));

    expect(groups).toEqual({});
    expect(refused).toHaveLength(1);
    expect(refused[0]?.split(", ")).toContain(reason);
  });

  it("no tag of the disk, for workers that ask for disk", () => {
    const asking = [asksFor(aWorker(), { "ephemeral-storage": "50Gi", [GPU]: "2" })];

    expect(grown(onGpus, asking)).toEqual({ [GPUS]: 1, refused: [] });
    const without = groupsOf(withHint(onGpus, "resources/ephemeral-storage", undefined));
    const refused = [`1 Insufficient ephemeral-storage, ${otherGroup}`];
    expect(grown(onGpus, asking, without)).toEqual({ refused });
  });

  it("workers without toleration of their group's taint", () => {
    const intolerant = changed(aWorker(), ({ spec }) => {
      if (spec !== undefined) spec.tolerations = [];
    });

    const refused = [`${otherGroup}, 1 node(s) had untolerated taint {nvidia.com/gpu: present}`];
    expect(grown(onGpus, [intolerant])).toEqual({ refused });
  });
});

describe("a node on its way", () => {
  it("is waited for, also while its device plugin starts, by the accelerator label", () => {
    const groups = groupsOf(onGpus);
    const started = aNode(groupNamed(onGpus, GPUS), "one", 0);
    const pods = waitingWorkers(onGpus, 2);

    for (const node of [undefined, started]) {
      expect(grown(onGpus, pods, groups, [{ group: GPUS, node }])).toEqual({ refused: [] });
    }
    const unlabelled = changed(started, ({ metadata }) => delete metadata?.labels?.["k8s.amazonaws.com/accelerator"]);
    expect(grown(onGpus, pods, groups, [{ group: GPUS, node: unlabelled }])).toEqual({ [GPUS]: 1, refused: [] });
  });
});

describe("among groups that would do", () => {
  it("the one of higher priority grows first, by the name that its Auto Scaling group gets", async () => {
    const stack = await renderApi({
      compute,
      groups: (cluster) => {
        const types = { cluster, instanceTypes: ["m7i.xlarge"] };
        return [
          new CpuNodeGroup("firm", { ...types, nodesMax: 4 }),
          new CpuNodeGroup("spot", { ...types, nodesMax: 1, capacity: "spot", priority: 2 }),
        ];
      },
    });

    expect(grown(stack, waitingWorkers(stack, 4))).toEqual({
      "eks-spot-priority-2-1234567": 1,
      "eks-firm-nodes-1234567": 1,
      refused: [],
    });
  });

  it("the one that leaves less unused grows first, of one priority", async () => {
    const stack = await renderApi({
      compute,
      groups: (cluster) => [
        new CpuNodeGroup("large", { cluster, instanceTypes: ["m7i.4xlarge"], nodesMax: 4 }),
        cpuGroup(cluster),
      ],
    });

    expect(grown(stack, waitingWorkers(stack, 3))).toEqual({ [CPUS]: 1, refused: [] });
  });
});

describe("a node goes", () => {
  const seen = (pods: readonly V1Pod[]) => {
    const group = groupNamed(onGpus, GPUS);
    const instances = ["one", "two"].map((name) => ({ group: GPUS, node: aNode(group, name) }));
    return planScaling({ groups: groupsOf(onGpus), instances, pods }).unneeded;
  };

  it("when no worker is on it, and never with one", () => {
    const [one, two] = [on("one", aWorker()), on("two", aWorker())];
    const ended = changed(one, (pod) => {
      pod.status = { phase: "Succeeded" };
    });

    expect(seen([])).toEqual(["one", "two"]);
    expect(seen([one])).toEqual(["two"]);
    expect(seen([one, two])).toEqual([]);
    expect(seen([ended])).toEqual(["one", "two"]);
  });

  it("not for a worker that waits and fits there", () => {
    expect(seen(waitingWorkers(onGpus, 1))).toEqual(["two"]);
  });

  it("with a worker that does not say that it may not be moved: what it computed would be lost", () => {
    const small = ["one", "two"].map((name) => on(name, asksFor(aWorker(), { [GPU]: "1" })));
    expect(seen(small)).toEqual([]);

    const movable = small.map((pod) => changed(pod, ({ metadata }) => delete metadata?.annotations?.[SAFE_TO_EVICT]));

    expect(seen(movable)).toEqual(["one"]);
  });

  it("down to the fewest that its group has", () => {
    const stack = planted(onGpus, NODE_GROUP, (inputs) => ({ ...inputs, scalingConfig: { minSize: 1, maxSize: 2 } }));
    const instances = ["one", "two"].map((name) => ({ group: GPUS, node: aNode(groupNamed(onGpus, GPUS), name) }));

    expect(planScaling({ groups: groupsOf(stack), instances, pods: [] }).unneeded).toEqual(["one"]);
  });
});
