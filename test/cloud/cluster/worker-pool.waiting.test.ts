import { CoreV1Api, type V1PodSpec } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { KubernetesPool } from "../../../services/backends/worker-pool.kubernetes.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import type { NamespaceOptions } from "../support/namespace.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";
import { aPool, NAME, whenWorkers, type PoolShape } from "./a-pool.ts";

const claim = { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "models" } }] };
const configMap = { volumes: [{ name: "v", configMap: { name: "settings" } }] };
const mounted = { volumeMounts: [{ name: "v", mountPath: "/settings" }] };
const secretEnv = { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "keys", key: "a" } } }] };

describeOnRealNodes("why a worker waits", () => {
  let cluster: Cluster;
  const pools: KubernetesPool[] = [];
  const core = () => cluster.admin.makeApiClient(CoreV1Api);
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
  });
  afterAll(() => cluster.stop());

  async function start(
    shape: Partial<PoolShape>,
    options?: NamespaceOptions,
    before?: (namespace: string) => Promise<unknown>,
  ) {
    const { name: namespace, service } = await cluster.makeNamespace("waits", options);
    await before?.(namespace);
    const pool = aPool({ service, namespace, ...shape });
    pools.push(pool);
    await pool.start(NAME, 1);
    return { pool, namespace };
  }
  const pod = (pod: Partial<V1PodSpec>) => ({ pod });
  const gpus = { container: { resources: { limits: { "nvidia.com/gpu": "2" } } } };

  it.each<[string, Partial<PoolShape>, string, RegExp]>([
    [
      "a resource",
      gpus,
      "waiting_for_node",
      /no node fits: 1 of 1 nodes? has too little nvidia\.com\/gpu free \(a worker asks for 2\); /,
    ],
    [
      "a node with its labels",
      pod({ nodeSelector: { group: "gpus" } }),
      "waiting_for_node",
      /without the labels .* check runsOn/,
    ],
    [
      "an image",
      { container: { image: "127.0.0.1:9/none:1", imagePullPolicy: "Always" } },
      "pulling",
      /image 127\.0\.0\.1:9\/none:1 cannot be pulled: .*(refused|failed)/,
    ],
    [
      "an image that may not be pulled",
      { container: { image: "localhost/none:1" } },
      "pulling",
      /localhost\/none:1 is not on the node/,
    ],
    ["a name of an image", { container: { image: "Not A Name" } }, "pulling", /"Not A Name" is no name of an image/],
    ["a secret", { container: secretEnv }, "starting", /secret keys does not exist: create it/],
    [
      "a volume",
      { ...pod(configMap), container: mounted },
      "starting",
      /volume cannot be mounted: .*configmap "settings" not found/,
    ],
    ["a volume claim", pod(claim), "waiting_for_node", /volume claim models does not exist: create it/],
    [
      "a service account",
      pod({ serviceAccountName: "nobody" }),
      "waiting_for_node",
      /service account nobody does not exist/,
    ],
  ])("is told for %s", async (_, shape, state, words) => {
    const { pool } = await start(shape);

    const [worker] = await whenWorkers(pool, ([first]) => words.test(first?.waitingFor ?? ""), 45);

    expect(worker).toMatchObject({ phase: "pending", state });
  });

  it("is told for a quota that is used up", async () => {
    const quota = { metadata: { name: "small" }, spec: { hard: { pods: "0" } } };
    const { pool } = await start({}, {}, (namespace) =>
      core().createNamespacedResourceQuota({ namespace, body: quota }),
    );

    await whenWorkers(
      pool,
      ([first]) =>
        (first?.waitingFor ?? "").includes("quota small is used up (asked pods=1, used pods=0, limit pods=0)"),
      45,
    );
  });

  it("is told for a template that pod security refuses", async () => {
    const { pool } = await start(pod({ hostNetwork: true }), { podSecurity: "baseline" });

    await whenWorkers(
      pool,
      ([first]) => /pod security "baseline" .*refuses the pod template: host namespaces/.test(first?.waitingFor ?? ""),
      45,
    );
  });

  it("is told for a node group at its maximum, in the autoscaler's event", async () => {
    const { pool, namespace } = await start(gpus);
    await whenWorkers(pool, ([first]) => first?.waitingFor?.includes("no node fits") === true);
    const [waiting] = (await core().listNamespacedPod({ namespace })).items;
    const { name = "", uid = "" } = waiting?.metadata ?? {};

    await core().createNamespacedEvent({
      namespace,
      body: {
        metadata: { name: "scale" },
        involvedObject: { kind: "Pod", namespace, name, uid },
        reason: "NotTriggerScaleUp",
        message: "pod didn't trigger scale-up: 1 max node group size reached",
        lastTimestamp: new Date(),
        type: "Normal",
      },
    });

    await whenWorkers(
      pool,
      ([first]) => first?.waitingFor?.startsWith("its node group is at its maximum size") === true,
      45,
    );
  });
});
