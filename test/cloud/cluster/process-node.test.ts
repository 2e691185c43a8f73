/** The node whose pods are processes, on a real control plane: what stands in where real nodes are forbidden. */
import { BatchV1Api, CoreV1Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { awaitWith } from "../support/cluster-process.ts";
import { ControlPlane } from "../support/control-plane.ts";
import { leavingsOf } from "../support/leavings.ts";
import { makeNamespace } from "../support/namespace.ts";
import { evict } from "../support/node-operations.ts";
import { startProcessNode, type ProcessNode } from "../support/process-node.ts";
import { createJob, podsOf, watchPods, whenJob, whenRunning } from "./objects.ts";

describe("a process node", () => {
  let plane: ControlPlane;
  let node: ProcessNode;
  beforeAll(async () => {
    plane = await ControlPlane.start();
    const commandOf = (_image: string, command: readonly string[]) => ["/bin/sh", "-c", ...command];
    node = await startProcessNode(plane, { name: "process-node", commandOf });
  });
  afterAll(async () => {
    await node.crash();
    await plane.stop();

    expect(leavingsOf(plane)).toEqual([]);
  });

  it("runs an Indexed Job whose pods know their index", async () => {
    const { name: namespace } = await makeNamespace(plane, "indexes");
    const script = 'test "$JOB_COMPLETION_INDEX" != 1 || exit 3';

    await createJob(plane.admin, { namespace, name: "all", completions: 3, script });

    const { status } = await whenJob(plane.admin, namespace, "all", "Failed");
    expect(status).toMatchObject({ completedIndexes: "0,2", failedIndexes: "1" });
    const codes = (await podsOf(plane.admin, namespace, "all")).map(
      (pod) => pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode,
    );
    expect(codes.sort()).toEqual([0, 0, 3, 3]);
  });

  it("lets an evicted pod end in its own way before its replacement starts", async () => {
    const { name: namespace } = await makeNamespace(plane, "evicted");
    const watch = await watchPods(plane.admin, namespace);
    const script = "trap 'exit 75' TERM; while true; do sleep 0.1; done";
    await createJob(plane.admin, { namespace, name: "held", completions: 1, script });
    const [pod] = await whenRunning(plane.admin, namespace, "held", 1);
    const evicted = pod?.metadata?.name ?? "";

    await evict(plane.admin, namespace, evicted);

    const replaced = await awaitWith("the replacement", [], () => {
      const found = watch.events.findIndex(({ kind, name }) => kind === "ADDED" && name !== evicted);
      return found === -1 ? undefined : found;
    });
    watch.stop();
    const last = watch.events.slice(0, replaced).findLast(({ name }) => name === evicted);
    expect(last?.phase).toBe("Failed");
    expect(last?.conditions).toContain("DisruptionTarget");
    await plane.admin
      .makeApiClient(BatchV1Api)
      .deleteNamespacedJob({ namespace, name: "held", propagationPolicy: "Foreground" });
    await awaitWith(
      "the Job's pods to be gone",
      [],
      async () => (await podsOf(plane.admin, namespace, "held")).length === 0,
    );
  });

  let tries = 0;
  it("is noticed when it falls silent", async () => {
    const silent = await startProcessNode(plane, { name: `silent-node-${String((tries += 1))}` });

    await silent.crash();

    const core = plane.admin.makeApiClient(CoreV1Api);
    await awaitWith("the node to be unknown", [], async () => {
      const { status } = await core.readNode({ name: silent.name });
      return status?.conditions?.some(({ type, status: ready }) => type === "Ready" && ready === "Unknown");
    });
  });
});
