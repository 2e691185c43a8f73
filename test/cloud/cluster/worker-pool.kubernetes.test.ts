import { BatchV1Api, CoreV1Api } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { KubernetesPool } from "../../../services/backends/worker-pool.kubernetes.ts";
import { PoolRefused } from "../../../services/backends/worker-pool.ts";
import { workerPoolContract, type WorkerManner } from "../../contracts/worker-pool.contract.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { evict } from "../support/node-operations.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { aPool, isRunning, NAME, POLITE, whenWorkers, type PoolShape } from "./a-pool.ts";

const MANNERS: Readonly<Record<WorkerManner, string>> = {
  polite: POLITE,
  ends: "exit 3",
  deaf: "trap '' TERM; while true; do /bin/busybox sleep 0.1; done",
};

describeOnRealNodes("KubernetesPool", () => {
  let cluster: Cluster;
  const pools: KubernetesPool[] = [];
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 2 });
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
    await cluster.restore();
  });
  afterAll(() => cluster.stop());

  /** A pool in a namespace of its own, with the service's rights alone. */
  async function open(shape: Partial<PoolShape> = {}, stem = "pool") {
    const { name: namespace, service } = await cluster.makeNamespace(stem);
    const pool = aPool({ service, namespace, ...shape });
    pools.push(pool);
    return { pool, namespace, service };
  }
  const podNames = async (namespace: string) => {
    const { items } = await cluster.admin.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
    return items.map(({ metadata }) => metadata?.name ?? "");
  };

  workerPoolContract("KubernetesPool", async (manner) => {
    const { pool } = await open({ script: MANNERS[manner], graceSeconds: manner === "deaf" ? 1 : 10 });
    return {
      pool,
      untilUp: async (count) => {
        await whenWorkers(pool, (all) => all.filter(isRunning).length >= count);
      },
      close: () => pool.close(),
    };
  });

  describe("on real nodes", () => {
    it("tells its workers who they are, and leaves the template's own variables alone", async () => {
      const env = [
        { name: "MILLRACE_JOB", value: "of somebody else" },
        { name: "HERS", value: "job $(MILLRACE_JOB)" },
      ];
      const { pool, namespace } = await open({ script: `/bin/busybox env; ${POLITE}`, container: { env } });
      await pool.start(NAME, 1);
      const [worker] = await whenWorkers(pool, (all) => all.every(isRunning));

      const [name = ""] = await podNames(namespace);
      const log = await cluster.admin.makeApiClient(CoreV1Api).readNamespacedPodLog({ namespace, name });

      const lines = log.split("\n").map((line) => /^([^=]+)=(.*)$/.exec(line) ?? []);
      const told = new Map(lines.map(([, variable, value]) => [variable, value]));
      expect(Object.fromEntries(told)).toMatchObject({
        MILLRACE_API: "photos",
        MILLRACE_JOB: NAME.job,
        MILLRACE_LANE: "1",
        MILLRACE_EPOCH: "2",
        MILLRACE_GENERATION: "0",
        JOB_COMPLETION_INDEX: "0",
        HERS: `job ${NAME.job}`,
      });
      expect(worker?.worker).toBe(`2-0-0-${told.get("MILLRACE_POD_UID")?.slice(0, 8) ?? ""}`);
      expect(worker?.state).toBe("ready");
    });

    it("replaces a drained worker, which is charged to nobody", async () => {
      const { pool, namespace } = await open();
      await pool.start(NAME, 1);
      const [first] = await whenWorkers(pool, (all) => all.every(isRunning));

      const [name = ""] = await podNames(namespace);
      await evict(cluster.admin, namespace, name);

      const [ended, next] = await whenWorkers(pool, (all) => all.length === 2 && all.some(isRunning));
      expect(ended).toMatchObject({ worker: first?.worker, phase: "ended", exitCode: 75, disrupted: true });
      expect(next).toMatchObject({ index: 0, phase: "running" });
      expect(next?.worker).not.toBe(first?.worker);
    });

    it("gives up an index that cannot start, and starts a crashed one again", async () => {
      const script = `if [ $JOB_COMPLETION_INDEX = 0 ]; then exit 64; fi; exit 1`;
      const { pool } = await open({ script });
      await pool.start(NAME, 2);

      const workers = await whenWorkers(pool, (all) => all.filter(({ index }) => index === 1).length >= 3);

      expect(workers.filter(({ index }) => index === 0)).toMatchObject([{ phase: "ended", exitCode: 64 }]);
    });

    it("tells that a worker took more memory than it may", async () => {
      const script = "/bin/busybox dd if=/dev/zero of=/dev/null bs=200M count=1";
      const { pool } = await open({ script });
      await pool.start(NAME, 1);

      const workers = await whenWorkers(pool, (all) => all.some(({ phase }) => phase === "ended"));

      expect(workers[0]).toMatchObject({ phase: "ended", signal: "SIGKILL", state: "out_of_memory" });
      expect(workers[0]?.disrupted).toBeUndefined();
    });

    it("refuses for good what the API server does, in its words", async () => {
      const { pool } = await open({ container: { ports: [{ containerPort: 99_999 }] } });

      const refused = pool.start(NAME, 1);

      await expect(refused).rejects.toThrow(PoolRefused);
      await expect(refused).rejects.toThrow(
        /refuses the workers of job .*containerPort: Invalid value: 99999: must be between/,
      );
    });

    it("does not call a missing right a refusal for good", async () => {
      const { namespace } = await open();
      const stranger = await cluster.controlPlane.kubeConfigOfUser("stranger");
      const pool = aPool({ service: stranger, namespace });
      pools.push(pool);

      const failed: unknown = await pool.start(NAME, 1).catch((error: unknown) => error);

      expect(failed).not.toBeInstanceOf(PoolRefused);
      expect(String(failed)).toMatch(/lacks a right in its namespace: .*cannot create resource "jobs"/);
      await expect(pool.probe()).rejects.toThrow(/forbidden/);
    });

    it("never lowers what another replica has raised", async () => {
      const { pool, namespace, service } = await open();
      const other = aPool({ service, namespace });
      pools.push(other);
      await pool.start(NAME, 1);

      await Promise.all([pool.resize(NAME, 4), other.resize(NAME, 2), pool.resize(NAME, 3), other.resize(NAME, 4)]);

      const batch = cluster.admin.makeApiClient(BatchV1Api);
      const { spec } = await batch.readNamespacedJob({ namespace, name: `${NAME.job}-2-g0` });
      expect([spec?.completions, spec?.parallelism]).toEqual([4, 4]);
      await whenWorkers(other, (all) => all.length === 4 && all.every(isRunning));
    });

    it("shows another replica the same workers", async () => {
      const { pool, namespace, service } = await open();
      await pool.start(NAME, 2);
      const workers = await whenWorkers(pool, (all) => all.every(({ state }) => state === "ready"));

      const other = aPool({ service, namespace });
      pools.push(other);

      expect(await other.workers(NAME.job, NAME.epoch)).toEqual(workers);
    });

    it("throws while the API server is away, and goes on when it is back", async () => {
      const { pool } = await open();
      await pool.start(NAME, 1);
      await whenWorkers(pool, (all) => all.every(isRunning));

      await cluster.controlPlane.stopApiServer("SIGKILL");
      // not at once: its watches hear of it a little later, and a list of the last second is as good as a new one
      const toldSince = () => pool.workers(NAME.job, NAME.epoch).then(() => "an answer", String);
      await expect.poll(toldSince, { timeout: 5_000 }).toMatch(/did not answer "list (jobs|pods)"/);
      await expect(pool.probe()).rejects.toThrow(/did not answer/);
      await cluster.controlPlane.startApiServer();

      await expect.poll(() => pool.probe().then(() => true), { timeout: 30_000 }).toBe(true);
      await whenWorkers(pool, (all) => all.length === 1 && all.every(isRunning));
      await pool.start({ ...NAME, generation: 1 }, 1);
      await whenWorkers(pool, (all) => all.length === 2 && all.every(isRunning));
    });

    it("says that a worker is lost whose node does not answer, and gives it up when it stops", async () => {
      const said: string[] = [];
      const { pool, namespace } = await open({ graceSeconds: 1, options: { log: (message) => said.push(message) } });
      await pool.start(NAME, 1);
      const [worker] = await whenWorkers(pool, (all) => all.every(isRunning));
      const [pod] = (await cluster.admin.makeApiClient(CoreV1Api).listNamespacedPod({ namespace })).items;
      const node = cluster.node(pod?.spec?.nodeName ?? "");

      await node.crash();

      await whenWorkers(pool, (all) => all.some(({ state }) => state === "lost"));
      expect((await pool.workers(NAME.job, NAME.epoch))[0]).toMatchObject({ worker: worker?.worker, phase: "running" });
      await pool.stop(NAME.job, NAME.epoch);
      expect(said.join("\n")).toMatch(/given up, as they do not go: .* on .*; look at their nodes/);
    });
  });
});
