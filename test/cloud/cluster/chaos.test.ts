/** A batch API in a cluster whose pods, nodes, API server, replicas and servers break while jobs run: nothing is lost, all counts hold. */
import { CoreV1Api } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { API, CloudUnderTest } from "../support/a-cloud.ts";
import { awaitWith } from "../support/cluster-process.ts";
import { GATED_ECHO } from "../support/gate.ts";
import { leavingsOf } from "../support/leavings.ts";
import { cordon, evict, OUT_OF_SERVICE, taint, uncordon, untaint } from "../support/node-operations.ts";
import { PodHistory, type PodSeen } from "../support/pod-history.ts";
import { isAlive, mainProcessOfPod, signalPod } from "../support/pod-processes.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { mend, spoil, unfired } from "./bad-servers.ts";
import { bytesBehindTheCut, driverOf, laneOf, Ordeal, whenLane, whenNode, type OrdealShape } from "./ordeal.ts";

const DRAINED = 75;
const EXCEEDS_MEMORY_MIB = 600;

/** Workers go to both nodes. */
const APART = {
  maxSkew: 1,
  topologyKey: "kubernetes.io/hostname",
  whenUnsatisfiable: "ScheduleAnyway",
  labelSelector: { matchLabels: { "app.kubernetes.io/managed-by": "millrace" } },
};

describeOnRealNodes("a batch API where things break", () => {
  let cloud: CloudUnderTest;
  let history: PodHistory;
  beforeAll(async () => {
    cloud = await CloudUnderTest.start({
      lanes: 1,
      pod: { topologySpreadConstraints: [APART], terminationGracePeriodSeconds: 15 },
      // watches are cut after 5 to 10 s, again and again
      controlPlane: { apiServerArgs: ["--min-request-timeout=5"] },
    });
    history = new PodHistory(cloud.cluster.admin, cloud.namespace.name);
    expect((await cloud.deploy(API, GATED_ECHO)).status).toBe(201);
  });
  beforeEach(async ({ onTestFailed }) => {
    await whenServing();
    begun = [];
    onTestFailed(async () => {
      process.stderr.write(`${await cloud.said()}\n${history.told()}\n`);
      for (const ordeal of begun) await ordeal.giveUp();
    });
  });
  /** Ends what a test broke and, failed in the middle of it all, did not mend: its second run begins with a whole cloud. */
  afterEach(async () => {
    mend(cloud.servers);
    for (const { uid } of history.pods.filter(({ phase }) => phase === "Running")) signalPod(uid, "SIGCONT");
    await cloud.cluster.restore();
  });
  afterAll(async () => {
    history.stop();
    await cloud.end();

    expect(leavingsOf(cloud.cluster.controlPlane)).toEqual([]);
  });
  const core = () => cloud.cluster.admin.makeApiClient(CoreV1Api);
  const deletePod = ({ name }: PodSeen) => core().deleteNamespacedPod({ namespace: cloud.namespace.name, name });
  let begun: Ordeal[] = [];
  const begin = async (shape: OrdealShape) => {
    const ordeal = await Ordeal.begin(cloud, shape);
    begun.push(ordeal);
    return ordeal;
  };
  const whenServing = async () => {
    for (const replica of cloud.replicas) await cloud.whenReady(replica);
  };

  it("hands back what drained pods hold, and charges nobody for pods that are killed", async () => {
    const first = [{ hold: "deleted" }, { hold: "evicted" }, { eat: EXCEEDS_MEMORY_MIB }];
    const ordeal = await begin({ batches: 1_200, workers: 5, first });
    const { gate, id } = ordeal;
    const [[deletedIndex = -1], [evictedIndex = -1]] = await Promise.all([
      gate.arrivals("deleted"),
      gate.arrivals("evicted"),
    ]);
    const deleted = await history.worker(id, deletedIndex);
    const evicted = await history.worker(id, evictedIndex);
    const killed = history.running(id).find(({ uid }) => uid !== deleted.uid && uid !== evicted.uid);
    if (killed === undefined) throw new Error("no third worker runs");

    process.kill(mainProcessOfPod(killed.uid), "SIGKILL");
    await Promise.all([deletePod(deleted), evict(cloud.cluster.admin, cloud.namespace.name, evicted.name)]);

    for (const pod of [deleted, evicted]) {
      const ended = await history.when("is drained", pod, ({ exitCode }) => exitCode !== undefined);
      expect(ended.exitCode).toBe(DRAINED);
    }
    const gone = await history.when("is killed", killed, ({ exitCode }) => exitCode !== undefined);
    expect(gone.exitCode).toBe(137);
    expect((await history.when("is marked", evicted, () => true)).conditions).toContain("DisruptionTarget");
    for (const pod of [deleted, evicted, killed]) await history.replacementOf(pod);
    const ended = await ordeal.end([2]);
    // what they held went to others
    await Promise.all([gate.arrivals("deleted", 2), gate.arrivals("evicted", 2)]);
    const [error] = await cloud.errors(ended);
    expect(error).toMatchObject({ attempts: 3 });
    await cloud.proveAll();
  });

  it("goes on while nodes are cordoned, cut off from Kubernetes, and crash", async () => {
    const [near, far] = cloud.cluster.nodes;
    if (near === undefined || far === undefined) throw new Error("two nodes were asked for");
    const { admin } = cloud.cluster;
    const ordeal = await begin({ batches: 2_500, workers: 6 });
    const { gate, id } = ordeal;
    await history.whenRunning(id, 6);
    const on = (node: string) => history.running(id).filter((pod) => pod.node === node);

    await cordon(admin, near.name);
    const [moved] = on(near.name);
    if (moved === undefined) throw new Error("no worker is on the first node");
    await deletePod(moved);
    expect((await history.replacementOf(moved)).node).toBe(far.name);
    await uncordon(admin, near.name);

    const cutOff = on(near.name);
    expect(cutOff.length).toBeGreaterThan(0);
    near.freezeKubelet();
    await whenNode(cloud, near.name, "Unknown");
    const before = cutOff.map(({ index }) => gate.passed(index));
    await awaitWith("the workers that are cut off to go on", [], () =>
      cutOff.every(({ index }, at) => gate.passed(index) > (before[at] ?? 0)),
    );
    near.thawKubelet();
    await whenNode(cloud, near.name, "True");
    for (const pod of cutOff) await history.replacementOf(pod);

    const lost = on(far.name);
    expect(lost.length).toBeGreaterThan(0);
    await far.crash();
    await whenNode(cloud, far.name, "Unknown");
    await taint(admin, far.name, OUT_OF_SERVICE);
    for (const pod of lost) expect((await history.replacementOf(pod)).node).toBe(near.name);
    await untaint(admin, far.name, OUT_OF_SERVICE.key);
    await far.boot();
    await whenServing();

    await ordeal.end();
    await cloud.proveAll();
  });

  it("is driven on while the API server restarts, and by another replica when one is killed or frozen", async () => {
    const ordeal = await begin({ batches: 2_500, workers: 4 });
    const { gate, id } = ordeal;
    await gate.morePasses(50);
    await cloud.cluster.controlPlane.restartApiServer();
    await gate.morePasses(50);

    const killed = await driverOf(cloud, history, id);
    const { term: beforeKill } = await laneOf(cloud);
    process.kill(mainProcessOfPod(killed.uid), "SIGKILL");
    await whenLane(cloud, "the job to be taken over from the dead", ({ term }) => term > beforeKill);
    await gate.morePasses(50);

    await whenServing();
    const frozen = await driverOf(cloud, history, id);
    const { term: beforeFreeze } = await laneOf(cloud);
    signalPod(frozen.uid, "SIGSTOP");
    await whenLane(cloud, "the job to be taken over from the frozen", ({ term }) => term > beforeFreeze);
    signalPod(frozen.uid, "SIGCONT");
    await gate.morePasses(50);

    await ordeal.end();
    await cloud.proveAll();
    expect(history.watches).toBeGreaterThan(3);
  });

  it("counts right while S3, SQS and Logs throttle, lose, cut, fail in part and do things late", async () => {
    // The queue first: a driver has sent all there is before its workers run.
    spoil(cloud.servers, ["sqs"]);
    const ordeal = await begin({ batches: 1_500, workers: 4 });
    const { gate, id } = ordeal;
    await history.whenRunning(id, 4);
    spoil(cloud.servers, ["s3", "logs"]);
    await gate.morePasses(400, 90);
    gate.open();
    // Faults stop, then it must end: what was sent again in vain waits twice as long each time.
    await cloud.when(ordeal.job, ({ items }) => items.succeeded > 1_400, 120);
    mend(cloud.servers);

    await ordeal.end([], 240);
    expect(unfired(cloud.servers)).toEqual([]);
    await cloud.proveAll();
  });

  it("passes a lane on while a frozen worker of its last job lives, which changes nothing when it wakes", async () => {
    const [node] = cloud.cluster.nodes;
    if (node === undefined) throw new Error("two nodes were asked for");
    const first = await begin({ batches: 1_000, workers: 4 });
    await history.whenRunning(first.id, 4);
    await first.gate.morePasses(50);
    const zombie = history.running(first.id).find((pod) => pod.node === node.name);
    if (zombie === undefined) throw new Error("no worker is on the first node");
    const zombieProcess = mainProcessOfPod(zombie.uid);

    node.freezeKubelet();
    signalPod(zombie.uid, "SIGSTOP");
    await cloud.stop(first.job);
    first.gate.open();
    const stopped = await cloud.ended(first.job, 90);
    const second = await begin({ batches: 1_000, workers: 3 });
    // first the lane is kept until the workers that are cut off are given up: their grace and 5 s
    await second.gate.morePasses(50, 120);
    expect(await laneOf(cloud)).toMatchObject({ job: second.id });
    expect(isAlive(zombieProcess)).toBe(true);
    signalPod(zombie.uid, "SIGCONT");
    await awaitWith("the zombie to leave", [], () => !isAlive(zombieProcess));
    node.thawKubelet();

    await second.end();
    const { state, items, batches } = await cloud.job(first.job);
    expect({ state, items, batches }).toEqual({ state: "stopped", items: stopped.items, batches: stopped.batches });
    expect(await bytesBehindTheCut(cloud, first.id, zombie)).toBeGreaterThan(0);
    await cloud.proveAll();
    await first.gate.stop();
  });
});
