/** The test cluster itself: that it behaves as Kubernetes does where the other cloud tests lean on it. */
import { join } from "node:path";
import { CoreV1Api, type V1EnvVar, type V1Pod } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from "vitest";
import { awaitWith } from "../support/cluster-process.ts";
import { BUSYBOX_IMAGE, startCluster, type Cluster } from "../support/cluster.ts";
import { leavingsOf } from "../support/leavings.ts";
import { SERVICE_ACCOUNT } from "../support/namespace.ts";
import { advertise, cordon, evict, OUT_OF_SERVICE, taint, untaint } from "../support/node-operations.ts";
import { nodeRuntime, NODE_PATH } from "../support/node-image.ts";
import { writeOciImage } from "../support/oci-image.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { createJob, isRunning, podsOf, spread, watchPods, whenJob, whenRunning } from "./objects.ts";

const RUN_ON = "trap 'exit 75' TERM; while true; do busybox sleep 0.1; done".replaceAll("busybox", "/bin/busybox");

const PROBE_IMAGE = "localhost/probe:1";

describeOnRealNodes("a test cluster", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
  });
  const core = () => cluster.admin.makeApiClient(CoreV1Api);
  afterEach(() => cluster.restore());
  afterAll(async () => {
    await cluster.stop();

    expect(leavingsOf(cluster.controlPlane)).toEqual([]);
  });

  it("runs an Indexed Job to its end, spread over both nodes", async () => {
    const { name: namespace } = await cluster.makeNamespace("spread");
    const script = "echo $JOB_COMPLETION_INDEX; /bin/busybox sleep 1";

    await createJob(cluster.admin, { namespace, name: "all", completions: 4, script, pod: spread("all") });

    const { status } = await whenJob(cluster.admin, namespace, "all", "Complete");
    expect(status?.completedIndexes).toBe("0-3");
    const pods = await podsOf(cluster.admin, namespace, "all");
    expect(new Set(pods.map(({ spec }) => spec?.nodeName))).toEqual(new Set(cluster.nodes.map(({ name }) => name)));
    const logs = await Promise.all(
      pods.map(({ metadata }) => core().readNamespacedPodLog({ namespace, name: metadata?.name ?? "" })),
    );
    expect(logs.sort()).toEqual(["0\n", "1\n", "2\n", "3\n"]);
  });

  it("marks an evicted pod as disrupted, and replaces it only after it has failed", async () => {
    const { name: namespace } = await cluster.makeNamespace("evicted");
    const watch = await watchPods(cluster.admin, namespace);
    await createJob(cluster.admin, { namespace, name: "long", completions: 1, script: `${RUN_ON} & wait` });
    const [pod] = await whenRunning(cluster.admin, namespace, "long", 1);
    const evicted = pod?.metadata?.name ?? "";

    await evict(cluster.admin, namespace, evicted);

    await awaitWith("the replacement", [], async () => {
      const pods = await podsOf(cluster.admin, namespace, "long");
      return pods.some((one) => isRunning(one) && one.metadata?.name !== evicted);
    });
    watch.stop();
    const replaced = watch.events.findIndex(({ kind, name }) => kind === "ADDED" && name !== evicted);
    const before = watch.events.slice(0, replaced).filter(({ name }) => name === evicted);
    expect(before.some(({ conditions }) => conditions.includes("DisruptionTarget"))).toBe(true);
    expect(before.at(-1)?.phase).toBe("Failed");
    expect(watch.events[replaced]?.index).toBe("0");
  });

  it("kills a container that takes more memory than its limit", async () => {
    const { name: namespace } = await cluster.makeNamespace("memory");
    const script = "/bin/busybox dd if=/dev/zero of=/dev/null bs=200M count=1";

    await createJob(cluster.admin, { namespace, name: "greedy", completions: 1, script, memoryLimit: "32Mi" });

    await whenJob(cluster.admin, namespace, "greedy", "Failed");
    const [pod] = await podsOf(cluster.admin, namespace, "greedy");
    const ended = pod?.status?.containerStatuses?.[0]?.state?.terminated;
    expect(ended).toMatchObject({ reason: "OOMKilled", exitCode: 137 });
  });

  it("goes on with a Job when the API server was killed and started again", async () => {
    const { name: namespace } = await cluster.makeNamespace("restart");
    const script = "/bin/busybox sleep 4; exit 0";
    await createJob(cluster.admin, { namespace, name: "through", completions: 2, script });
    await whenRunning(cluster.admin, namespace, "through", 2);

    await cluster.controlPlane.restartApiServer("SIGKILL");

    const { status } = await whenJob(cluster.admin, namespace, "through", "Complete");
    expect(status?.succeeded).toBe(2);
    expect(status?.failed ?? 0).toBe(0);
  });

  it("lets a non-root pod with a read-only root do what its service account may, and nothing else", async () => {
    const { name: namespace, environment } = await cluster.makeNamespace("rights");
    const tar = join(cluster.controlPlane.folder, "probe.tar");
    const probe = { path: "/probe.ts", from: join(import.meta.dirname, "rights-probe.ts") };
    const content = [...nodeRuntime(), probe];
    await writeOciImage(tar, { name: PROBE_IMAGE, content, entrypoint: [NODE_PATH, "/probe.ts"], user: "1000:1000" });
    await cluster.importImage(tar);

    await core().createNamespacedPod({ namespace, body: probingPod(environment) });

    const ended = await awaitWith("the probe to end", [], async () => {
      const { status } = await core().readNamespacedPod({ namespace, name: "probe" });
      return status?.phase === "Succeeded" || status?.phase === "Failed" ? status.phase : undefined;
    });
    const log = await core().readNamespacedPodLog({ namespace, name: "probe" });
    expect(ended, log).toBe("Succeeded");
    expect(JSON.parse(log)).toEqual({
      answers: [
        "POST own/jobs 201",
        "GET own/jobs 200",
        "GET own/pods 200",
        "GET own/events 200",
        "DELETE own/jobs/probed 200",
        "GET own/secrets 403",
        "DELETE own/pods/any 403",
        "POST own/pods 403",
        "GET nodes 403",
        "GET namespaces/default/jobs 403",
      ],
      user: 1000,
      root: "EROFS",
      scratch: "done",
    });
  });

  it("keeps a pod waiting for a resource that no node has, until one that is not cordoned has it", async () => {
    const { name: namespace } = await cluster.makeNamespace("resource");
    const [first, second] = cluster.nodes;
    if (first === undefined || second === undefined) throw new Error("two nodes were asked for");
    const advertised = async (count: number) => {
      for (const { name } of [first, second]) await advertise(cluster.admin, name, "nvidia.com/gpu", count);
    };
    onTestFinished(() => advertised(0));
    const gpu = { limits: { "nvidia.com/gpu": "1" } };
    const container = {
      name: "main",
      image: BUSYBOX_IMAGE,
      imagePullPolicy: "Never",
      args: ["exit 0"],
      resources: gpu,
    };
    const pod = { restartPolicy: "Never", containers: [container] };

    await createJob(cluster.admin, { namespace, name: "gpu", completions: 1, script: "", pod });

    const whyWaiting = await awaitWith("the scheduler's word", [], async () => {
      const [waiting] = await podsOf(cluster.admin, namespace, "gpu");
      return waiting?.status?.conditions?.find(({ reason }) => reason === "Unschedulable")?.message;
    });
    expect(whyWaiting).toContain("2 Insufficient nvidia.com/gpu");
    await cordon(cluster.admin, first.name);
    await advertised(1);
    await whenJob(cluster.admin, namespace, "gpu", "Complete");
    const [ran] = await podsOf(cluster.admin, namespace, "gpu");
    expect(ran?.spec?.nodeName).toBe(second.name);
  });

  it("loses sight of a node that is cut off from Kubernetes, whose pods run on", async () => {
    const { name: namespace } = await cluster.makeNamespace("cut");
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error("two nodes were asked for");
    await createJob(cluster.admin, { namespace, name: "held", completions: 2, script: RUN_ON, pod: spread("held") });
    await whenRunning(cluster.admin, namespace, "held", 2);
    const processes = node.processesInPods();

    node.freezeKubelet();

    await whenNode(cluster, node.name, "Unknown");
    expect(processes).toBeGreaterThan(0);
    expect(node.processesInPods()).toBe(processes);
    node.thawKubelet();
    await whenNode(cluster, node.name, "True");
  });

  it("notices a crashed node, replaces its pods once it is out of service, and takes it back", async () => {
    const { name: namespace } = await cluster.makeNamespace("crash");
    const [, victim] = cluster.nodes;
    if (victim === undefined) throw new Error("two nodes were asked for");
    await createJob(cluster.admin, { namespace, name: "held", completions: 2, script: RUN_ON, pod: spread("held") });
    const pods = await whenRunning(cluster.admin, namespace, "held", 2);
    const lost = pods.find(({ spec }) => spec?.nodeName === victim.name)?.metadata?.name;

    await victim.crash();

    expect(lost).toBeDefined();
    await whenNode(cluster, victim.name, "Unknown");
    await awaitWith("the lost pod to be marked for deletion", [], async () => {
      const held = await podsOf(cluster.admin, namespace, "held");
      return held.some(({ metadata }) => metadata?.name === lost && metadata?.deletionTimestamp !== undefined);
    });
    expect(await podsOf(cluster.admin, namespace, "held")).toHaveLength(2);
    await taint(cluster.admin, victim.name, OUT_OF_SERVICE);
    await awaitWith("the lost pod to be replaced", [], async () => {
      const running = (await podsOf(cluster.admin, namespace, "held")).filter(isRunning);
      const elsewhere = running.filter(({ spec }) => spec?.nodeName !== victim.name);
      return elsewhere.length === 2;
    });
    await untaint(cluster.admin, victim.name, OUT_OF_SERVICE.key);
    await victim.boot();
    await whenNode(cluster, victim.name, "True");
  });
});

function probingPod(environment: readonly V1EnvVar[]): V1Pod {
  return {
    metadata: { name: "probe" },
    spec: {
      restartPolicy: "Never",
      serviceAccountName: SERVICE_ACCOUNT,
      hostNetwork: true,
      volumes: [{ name: "scratch", emptyDir: {} }],
      containers: [
        {
          name: "main",
          image: PROBE_IMAGE,
          imagePullPolicy: "Never",
          env: [...environment],
          volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
            seccompProfile: { type: "RuntimeDefault" },
          },
        },
      ],
    },
  };
}

function whenNode(cluster: Cluster, name: string, ready: string): Promise<true> {
  const core = cluster.admin.makeApiClient(CoreV1Api);
  return awaitWith(`node ${name} to be ready: ${ready}`, [], async () => {
    const { status } = await core.readNode({ name });
    return status?.conditions?.some((one) => one.type === "Ready" && one.status === ready);
  });
}
