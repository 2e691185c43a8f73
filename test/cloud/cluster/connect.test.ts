/** `millrace connect` through a real API server, kubelet and container runtime, as a process with a user's rights. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AppsV1Api,
  CoreV1Api,
  RbacAuthorizationV1Api,
  type KubeConfig,
  type V1Deployment,
  type V1PolicyRule,
} from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { serviceLabels } from "../../../services/protocol/service-pods.ts";
import { startCommand, type Command } from "../../support/a-command.ts";
import { awaitWith } from "../support/cluster-process.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { CONNECT_RULES } from "../support/connect-rules.ts";
import { nodeRuntime, NODE_PATH } from "../support/node-image.ts";
import { writeOciImage } from "../support/oci-image.ts";
import { describeOnRealNodes } from "../support/real-nodes.ts";

const API = "photos";
const DOOR_IMAGE = "localhost/door:1";
const LARGE_MIB = 48;

describeOnRealNodes("millrace connect", () => {
  let cluster: Cluster;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-connect-"));
    cluster = await startCluster({ nodes: 1 });
    const tar = join(folder, "door.tar");
    const content = [...nodeRuntime(), { path: "/door.ts", from: join(import.meta.dirname, "a-door.ts") }];
    await writeOciImage(tar, { name: DOOR_IMAGE, content, entrypoint: [NODE_PATH, "/door.ts"], user: "1000:1000" });
    await cluster.importImage(tar);
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("joins each connection to a pod's doors, with no more rights than its page names, until Ctrl-C", async () => {
    const { name: namespace } = await cluster.makeNamespace("joins");
    const [pod] = await deployDoors(cluster.admin, namespace, 1);
    const user = await userWith(cluster, namespace, CONNECT_RULES);

    const connect = startConnect(folder, user, namespace);
    const address = await addressOf(connect);

    expect(await (await fetch(`${address}/who`)).text()).toBe(pod);
    const body = Buffer.alloc(LARGE_MIB * 1024 * 1024, "x");
    expect(await (await fetch(`${address}/count`, { method: "POST", body })).text()).toBe(String(body.length));
    const large = Buffer.from(await (await fetch(`${address}/large/${String(LARGE_MIB)}`)).arrayBuffer());
    expect(large.equals(Buffer.alloc(LARGE_MIB * 1024 * 1024, "0123456789abcdef"))).toBe(true);
    expect(JSON.parse(await contextsOf(folder, namespace))).toMatchObject({ current: API });
    connect.kill("SIGINT");
    expect(await connect.ended, connect.err()).toBe(0);
    expect(JSON.parse(await contextsOf(folder, namespace))).toEqual({ format: 1, contexts: [] });
  });

  it("moves to another pod while a new version rolls out", async () => {
    const { name: namespace } = await cluster.makeNamespace("rolls");
    const before = await deployDoors(cluster.admin, namespace, 2);
    const user = await userWith(cluster, namespace, CONNECT_RULES);
    const connect = startConnect(folder, user, namespace);
    const address = await addressOf(connect);

    await roll(cluster.admin, namespace);

    const failed: string[] = [];
    const answered = await awaitWith("a new pod to answer", [], async () => {
      const who = await fetch(`${address}/who`, { headers: { connection: "close" } }).catch((error: unknown) => {
        failed.push(String(error));
      });
      const pod = await who?.text();
      const gone = !(await podNames(cluster.admin, namespace)).some((name) => before.includes(name));
      return gone && pod !== undefined && !before.includes(pod) && pod;
    });
    expect(await podNames(cluster.admin, namespace)).toContain(answered);
    expect(connect.hasEnded()).toBe(false);
    expect(connect.err()).toContain("moved to pod");
    expect(failed, connect.err()).toEqual([]);
    connect.kill("SIGTERM");
    expect(await connect.ended).toBe(0);
  });

  it("says which right is missing to whoever may not forward ports", async () => {
    const { name: namespace } = await cluster.makeNamespace("forbidden");
    await deployDoors(cluster.admin, namespace, 1);
    const user = await userWith(cluster, namespace, rulesWith("create"));

    const connect = startConnect(folder, user, namespace);

    expect(await connect.ended).toBe(1);
    expect(connect.err()).toContain(`"person" may not forward a port to pods of namespace ${namespace}; have`);
  });

  it("needs get of port-forwards alone, before Kubernetes 1.35", async () => {
    const { name: namespace } = await cluster.makeNamespace("get-only");
    await deployDoors(cluster.admin, namespace, 1);
    const user = await userWith(cluster, namespace, rulesWith("get"));

    const connect = startConnect(folder, user, namespace);

    expect(await addressOf(connect)).toMatch(/^http:/);
  });

  it("says why no pod is ready", async () => {
    const { name: namespace } = await cluster.makeNamespace("unready");
    await createDoors(cluster.admin, namespace, 1, [{ name: "NEVER_READY", value: "1" }]);
    const core = cluster.admin.makeApiClient(CoreV1Api);
    await awaitWith("a probe to fail", [], async () => {
      const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: "reason=Unhealthy" });
      // the first ones may be of a door that does not listen yet
      return items.some(({ message }) => message?.includes("statuscode: 503") === true);
    });
    const events = { apiGroups: [""], resources: ["events"], verbs: ["list"] };
    const user = await userWith(cluster, namespace, [...CONNECT_RULES, events]);

    const connect = startConnect(folder, user, namespace);

    expect(await connect.ended).toBe(6);
    expect(connect.err()).toContain("HTTP probe failed with statuscode: 503");
  });
});

/** As many rights as `connect` asks for, but of port-forwards this one alone. */
function rulesWith(verb: string): readonly V1PolicyRule[] {
  const pods = CONNECT_RULES.filter(({ resources }) => resources?.includes("pods") === true);
  return [...pods, { apiGroups: [""], resources: ["pods/portforward"], verbs: [verb] }];
}

function startConnect(folder: string, kubeconfig: string, namespace: string): Command {
  const args = ["connect", API, "--namespace", namespace, "--kubeconfig", kubeconfig];
  const command = startCommand("main.ts", args, { root: join(folder, namespace) });
  onTestFinished(() => {
    command.kill("SIGKILL");
  });
  return command;
}

function contextsOf(folder: string, namespace: string): Promise<string> {
  return readFile(join(folder, namespace, "config/millrace/contexts.json"), "utf8");
}

function addressOf(connect: Command): Promise<string> {
  return awaitWith("its address", [], () => {
    if (connect.hasEnded()) throw new Error(connect.err());
    return /answers at (\S+) until/.exec(connect.out())?.[1];
  }).catch((error: unknown) => {
    throw new Error(`it says ${connect.out()}${connect.err()}`, { cause: error });
  });
}

/** Path of a kubeconfig of somebody who may do this and nothing else. */
async function userWith(cluster: Cluster, namespace: string, rules: readonly V1PolicyRule[]): Promise<string> {
  const rbac = cluster.admin.makeApiClient(RbacAuthorizationV1Api);
  const name = "person";
  await cluster.admin
    .makeApiClient(CoreV1Api)
    .createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
  await rbac.createNamespacedRole({ namespace, body: { metadata: { name }, rules: [...rules] } });
  const subjects = [{ kind: "ServiceAccount", name, namespace }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name };
  await rbac.createNamespacedRoleBinding({ namespace, body: { metadata: { name }, subjects, roleRef } });
  const config = await cluster.controlPlane.kubeConfigFor(name, namespace);
  return cluster.controlPlane.writeKubeConfig(`${name}-${namespace}`, config);
}

/** Names of the pods, once they are ready. */
async function deployDoors(admin: KubeConfig, namespace: string, replicas: number): Promise<readonly string[]> {
  await createDoors(admin, namespace, replicas);
  await awaitWith("the doors to be open", [], async () => {
    const { status } = await admin.makeApiClient(AppsV1Api).readNamespacedDeployment({ namespace, name: "service" });
    return status?.readyReplicas === replicas;
  });
  return podNames(admin, namespace);
}

async function createDoors(
  admin: KubeConfig,
  namespace: string,
  replicas: number,
  env: readonly { readonly name: string; readonly value: string }[] = [],
): Promise<void> {
  const labels = { ...serviceLabels(API) };
  const body: V1Deployment = {
    metadata: { name: "service" },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 10,
          containers: [
            {
              name: "service",
              image: DOOR_IMAGE,
              imagePullPolicy: "Never",
              env: [...env],
              readinessProbe: { httpGet: { path: "/", port: 8878 }, periodSeconds: 1 },
              resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "256Mi" } },
            },
          ],
        },
      },
    },
  };
  await admin.makeApiClient(AppsV1Api).createNamespacedDeployment({ namespace, body });
}

/** Makes all pods new ones. */
async function roll(admin: KubeConfig, namespace: string): Promise<void> {
  const apps = admin.makeApiClient(AppsV1Api);
  const deployment = await apps.readNamespacedDeployment({ namespace, name: "service" });
  const template = deployment.spec?.template;
  if (template?.metadata === undefined) throw new Error("a Deployment has a template");
  template.metadata.annotations = { version: "2" };
  await apps.replaceNamespacedDeployment({ namespace, name: "service", body: deployment });
}

async function podNames(admin: KubeConfig, namespace: string): Promise<readonly string[]> {
  const { items } = await admin.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
  return items.map(({ metadata }) => metadata?.name ?? "");
}
