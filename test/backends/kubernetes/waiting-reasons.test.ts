import { describe, expect, it } from "vitest";
import { podMissingFor, podWaitingFor } from "../../../services/backends/kubernetes/waiting-reasons.ts";
import { aJob, anEvent, aPod, unschedulablePod, waitingPod } from "./objects.ts";

describe("podWaitingFor", () => {
  it.each([
    [
      "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/3 nodes are available.",
      "3 of 3 nodes have too little nvidia.com/gpu free (a worker asks for 2); lower compute.gpu",
    ],
    [
      "0/2 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {gpu: yes, a}.",
      "1 of 2 nodes has too little memory free; lower compute.mem or add larger nodes; 1 of 2 nodes tainted {gpu: yes, a}",
    ],
    ["0/1 nodes are available: 1 node(s) were unschedulable.", "1 of 1 node cordoned"],
    ["no nodes available to schedule pods", "the cluster has no nodes yet"],
    [
      "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
      "its volume claim is not bound to a volume",
    ],
    ['0/1 nodes are available: persistentvolumeclaim "models" not found.', "its volume claim models does not exist"],
  ])("tells what the scheduler misses: %s", (message, words) => {
    expect(podWaitingFor(unschedulablePod(message, { "nvidia.com/gpu": "2" }), [])).toContain(words);
  });

  it.each([
    [
      "NotTriggerScaleUp",
      "pod didn't trigger scale-up: 1 max node group size reached",
      "its node group is at its maximum size: raise nodesMax",
    ],
    [
      "NotTriggerScaleUp",
      "pod didn't trigger scale-up: 2 Insufficient nvidia.com/gpu",
      "no node group has nodes with enough nvidia.com/gpu",
    ],
    [
      "NotTriggerScaleUp",
      "pod didn't trigger scale-up: 1 in backoff after failed scale-up",
      "its node group could not grow",
    ],
    ["TriggeredScaleUp", "pod triggered scale-up: [{gpus 0->1 (max: 4)}]", "a node is on its way (gpus 0->1 (max: 4))"],
  ])("tells what the autoscaler does: %s %s", (reason, message, words) => {
    const pod = unschedulablePod("0/1 nodes are available: 1 Insufficient cpu.");

    expect(podWaitingFor(pod, [anEvent(reason, message)])).toContain(words);
  });

  it("believes the newest event", () => {
    const events = [
      anEvent("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", 1),
      anEvent("TriggeredScaleUp", "pod triggered scale-up: [{gpus 0->1}]", 2),
    ];

    expect(podWaitingFor(unschedulablePod("no nodes available to schedule pods"), events)).toMatch(
      /^a node is on its way/,
    );
  });

  it.each([
    [
      "ErrImagePull",
      'failed to pull: "x": not found',
      'cannot be pulled: failed to pull: "x": not found; check its name',
    ],
    ["InvalidImageName", "", "is no name of an image"],
    ["ErrImageNeverPull", "", "is not on the node"],
    ["CreateContainerConfigError", 'secret "keys" not found', "secret keys does not exist: create it"],
    ["CreateContainerConfigError", 'configmap "c" not found', "config map c does not exist"],
    [
      "CreateContainerConfigError",
      "couldn't find key a in Secret n/keys",
      "couldn't find key a in Secret n/keys; correct",
    ],
    ["CrashLoopBackOff", "", "container worker ends again and again"],
    ["CreateContainerError", "no such device", "container worker cannot start: no such device"],
  ])("tells what keeps a container: %s %s", (reason, message, words) => {
    expect(podWaitingFor(waitingPod(reason, message), [])).toContain(words);
  });

  it("tells why a pull failed also while the node waits for its next try", () => {
    const failed = anEvent("Failed", 'Failed to pull image "w:1": 403 Forbidden');

    expect(podWaitingFor(waitingPod("ImagePullBackOff", "Back-off pulling image"), [failed])).toContain(
      "403 Forbidden",
    );
  });

  it.each([
    ["FailedMount", 'configmap "c" not found', 'its volume cannot be mounted: configmap "c" not found'],
    ["FailedCreatePodSandBox", "no addresses", "its node cannot give it a network: no addresses"],
    ["Pulling", 'Pulling image "w:2"', "its node pulls image w:2"],
  ])("tells what a node is at: %s", (reason, message, words) => {
    expect(podWaitingFor(waitingPod("ContainerCreating"), [anEvent(reason, message)])).toContain(words);
  });

  it("tells that a pod's node does not answer, or that nobody has looked at it", () => {
    const lost = aPod({ node: "n", conditions: { Ready: "False", ContainersReady: "True" } });

    expect(podWaitingFor(lost, [])).toContain("its node does not answer");
    expect(podWaitingFor(aPod(), [])).toContain("the scheduler has not looked");
  });

  it("keeps to a bounded length", () => {
    expect(podWaitingFor(waitingPod("CreateContainerError", "x".repeat(9_000)), [])).toHaveLength(500);
  });
});

describe("podMissingFor", () => {
  it.each([
    [
      'Error creating: pods "p" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=4',
      "quota gpus is used up (asked requests.nvidia.com/gpu=1, used requests.nvidia.com/gpu=4",
    ],
    [
      'Error creating: pods "p" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
      'pod security "restricted" of its namespace refuses the pod template: runAsNonRoot != true',
    ],
    [
      'Error creating: pods "p" is forbidden: error looking up service account n/w: serviceaccount "w" not found',
      "service account w does not exist",
    ],
    [
      'Error creating: admission webhook "p.example" denied the request: no',
      "an admission webhook refuses the pod template",
    ],
    ['Error creating: Internal error occurred: failed calling webhook "p"', "does not answer"],
    ['Error creating: pods "p" is forbidden: because', 'Kubernetes refuses its pod: pods "p" is forbidden: because'],
  ])("tells what the Job controller was answered: %s", (message, words) => {
    expect(podMissingFor(aJob(), 0, 0, [anEvent("FailedCreate", message)])).toContain(words);
  });

  it("tells that a worker is started again, that a Job is suspended, or that nothing is known yet", () => {
    const suspended = aJob();
    Object.assign(suspended.spec ?? {}, { suspend: true });

    expect(podMissingFor(aJob(), 3, 2, [])).toBe(
      "worker 3 ended 2 times and is started again soon; the job's logs say why",
    );
    expect(podMissingFor(suspended, 0, 0, [])).toContain("suspended");
    expect(podMissingFor(aJob(), 0, 0, [])).toBe("Kubernetes has not made its pod yet");
  });
});
