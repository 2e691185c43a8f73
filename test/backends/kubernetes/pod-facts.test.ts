import { describe, expect, it } from "vitest";
import type { V1ContainerStateTerminated } from "@kubernetes/client-node";
import { EndedWorkers } from "../../../services/backends/kubernetes/ended-workers.ts";
import { generationFacts } from "../../../services/backends/kubernetes/generation-facts.ts";
import { goneWorker, nameOf, podWorker } from "../../../services/backends/kubernetes/pod-facts.ts";
import { aJob, aPod, NAME, UID, waitingPod, type PodShape } from "./objects.ts";

const RUNNING = { node: "node-1", phase: "Running", state: { running: {} } };
const READY = { Ready: "True", ContainersReady: "True" };

function ended(terminated: V1ContainerStateTerminated, more: PodShape = {}) {
  return podWorker(aPod({ node: "node-1", phase: "Failed", state: { terminated }, ...more }));
}

describe("podWorker", () => {
  it("names the incarnation by the pod's uid once its container has run", () => {
    expect(podWorker(aPod({ index: 3, ...RUNNING }))).toMatchObject({ index: 3, worker: "2-0-3-0a1b2c3d" });
    expect(podWorker(aPod())).toEqual({ generation: 0, index: 0, phase: "pending", state: "waiting_for_node" });
  });

  it("tells how far a pending worker has come", () => {
    expect(podWorker(waitingPod("ContainerCreating"))).toMatchObject({ phase: "pending", state: "starting" });
    expect(podWorker(waitingPod("ImagePullBackOff"))).toMatchObject({ phase: "pending", state: "pulling" });
  });

  it("calls a running worker ready when its pod is", () => {
    expect(podWorker(aPod({ ...RUNNING, conditions: READY }))?.state).toBe("ready");
    expect(podWorker(aPod(RUNNING))?.state).toBe("starting");
  });

  it("calls a worker lost, and not ended, when its node does not answer", () => {
    const taken = { Ready: "False", ContainersReady: "True" };

    expect(podWorker(aPod({ ...RUNNING, conditions: taken }))).toMatchObject({ phase: "running", state: "lost" });
    expect(podWorker(aPod({ ...RUNNING, conditions: taken, deleted: true }))?.phase).toBe("running");
    expect(podWorker(aPod({ ...RUNNING, conditions: { Ready: "False", ContainersReady: "False" } }))?.state).toBe(
      "starting",
    );
  });

  it("tells an exit code, or the signal behind it", () => {
    expect(ended({ exitCode: 3 })).toMatchObject({ phase: "ended", exitCode: 3 });
    expect(ended({ exitCode: 3 })?.disrupted).toBeUndefined();
    expect(ended({ exitCode: 137 })).toEqual({
      ...{ generation: 0, index: 0, worker: "2-0-0-0a1b2c3d" },
      ...{ phase: "ended", signal: "SIGKILL" },
    });
    expect(ended({ exitCode: 143 })).toMatchObject({ signal: "SIGTERM" });
    expect(ended({ exitCode: 128, reason: "StartError" })).toMatchObject({ exitCode: 128 });
  });

  it("charges an end in want of memory to the worker, even while it is evicted", () => {
    const conditions = { DisruptionTarget: "True" };
    const worker = ended({ exitCode: 137, reason: "OOMKilled" }, { conditions });

    expect(worker).toMatchObject({ signal: "SIGKILL", state: "out_of_memory" });
    expect(worker?.disrupted).toBeUndefined();
  });

  it.each<[string, V1ContainerStateTerminated, PodShape]>([
    ["it was drained", { exitCode: 75 }, {}],
    ["it was asked to leave before it could hear", { exitCode: 143 }, {}],
    ["it was evicted", { exitCode: 137 }, { conditions: { DisruptionTarget: "True" } }],
    ["its pod was deleted", { exitCode: 137 }, { deleted: true }],
    ["its node shut down", { exitCode: 137 }, { reason: "Terminated" }],
    ["its node was started anew", { exitCode: 137, reason: "ContainerStatusUnknown" }, {}],
  ])("charges nobody when %s", (_, terminated, more) => {
    expect(ended(terminated, more)).toMatchObject({ phase: "ended", disrupted: true });
  });

  it("believes a final pod whose container nobody can look at any more", () => {
    const conditions = { DisruptionTarget: ["True", "DeletionByPodGC", "node not found"] as const };

    expect(podWorker(aPod({ ...RUNNING, phase: "Failed", conditions }))).toMatchObject({
      phase: "ended",
      disrupted: true,
    });
  });

  it("is not fooled by the end of a container beside the worker", () => {
    const pod = aPod(RUNNING);
    pod.status?.containerStatuses?.unshift({
      ...{ name: "helper", image: "h", imageID: "", ready: false, restartCount: 0 },
      state: { terminated: { exitCode: 1 } },
    });

    expect(podWorker(pod)?.phase).toBe("running");
  });

  it("leaves pods of others alone", () => {
    expect(podWorker({ metadata: { labels: { app: "web" } } })).toBeUndefined();
    expect(nameOf(aJob().metadata)).toEqual(NAME);
  });
});

describe("goneWorker", () => {
  it("tells the end that was seen, else one that the platform made", () => {
    const crashed = aPod({ node: "n", phase: "Failed", state: { terminated: { exitCode: 1 } } });

    expect(goneWorker(crashed)).toEqual(podWorker(crashed));
    expect(goneWorker(aPod({ ...RUNNING, conditions: READY }))).toEqual({
      ...{ generation: 0, index: 0, worker: "2-0-0-0a1b2c3d" },
      ...{ phase: "ended", disrupted: true },
    });
  });
});

describe("generationFacts", () => {
  const phases = (...args: Parameters<typeof generationFacts>) =>
    generationFacts(...args).map(({ facts }) => `${String(facts.index)} ${facts.phase}`);

  it("has a pending worker for each index that Kubernetes still owes a pod", () => {
    expect(phases([aJob(3)], [aPod({ index: 1, ...RUNNING })], new Map())).toEqual([
      "0 pending",
      "1 running",
      "2 pending",
    ]);
  });

  it("owes nothing to indexes that are done or given up", () => {
    const job = aJob(6, { completedIndexes: "0,2-3", failedIndexes: "5" });

    expect(phases([job], [], new Map())).toEqual(["1 pending", "4 pending"]);
  });

  it("owes nothing to an index whose worker left, though the Job does not say so yet", () => {
    const left = aPod({ index: 0, node: "n", phase: "Succeeded", state: { terminated: { exitCode: 0 } } });

    expect(phases([aJob(2)], [left], new Map())).toEqual(["0 ended", "1 pending"]);
  });

  it("owes the next pod to an index whose worker crashed", () => {
    const crashed = aPod({ index: 0, node: "n", phase: "Failed", state: { terminated: { exitCode: 1 } } });

    const [first, next] = generationFacts([aJob(1)], [crashed], new Map());

    expect([first?.facts.phase, next?.facts.phase, next?.ends]).toEqual(["ended", "pending", 1]);
  });

  it("owes nothing when the Job is over, or goes", () => {
    const failed = aJob(2, { conditions: [{ type: "Failed", status: "True" }] });
    const going = aJob(2);
    Object.assign(going.metadata ?? {}, { deletionTimestamp: new Date(0) });

    expect(phases([failed], [], new Map())).toEqual([]);
    expect(phases([going], [], new Map())).toEqual([]);
  });

  it("tells a remembered end once, whether its pod is still there or not", () => {
    const pod = aPod({ index: 0, node: "n", phase: "Failed", state: { terminated: { exitCode: 1 } } });
    const remembered = new Map([[UID, { generation: 0, index: 0, phase: "ended" as const, exitCode: 1 }]]);

    expect(phases([], [pod], remembered)).toEqual(["0 ended"]);
    expect(phases([], [], remembered)).toEqual(["0 ended"]);
  });
});

describe("EndedWorkers", () => {
  const worker = { generation: 0, index: 0, phase: "ended" } as const;

  it("tells each end as news once", () => {
    const ended = new EndedWorkers();

    expect([ended.add("a", 1, UID, worker), ended.add("a", 1, UID, worker)]).toEqual([true, false]);
  });

  it("forgets the oldest of very many that were stopped, and none that were not", () => {
    const ended = new EndedWorkers();
    ended.add("lives", 1, UID, worker);
    for (let job = 0; job < 101; job += 1) {
      ended.add(String(job), 1, UID, worker);
      ended.stopped(String(job), 1);
    }

    expect([ended.of("lives", 1).size, ended.of("0", 1).size, ended.of("100", 1).size]).toEqual([1, 0, 1]);
  });
});
