/**
 * A batch API without nodes and images: the service is a process, and its workers are processes of a node in name only, over a
 * real control plane and servers of the cloud's protocols. For what goes wrong around them.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, type V1Container } from "@kubernetes/client-node";
import { S3Store } from "../../../services/backends/object-store.s3.ts";
import { ENV } from "../../../services/protocol/environment.ts";
import { ApiUser } from "../../support/api-user.ts";
import { LOG_GROUP, startCloudServers, STORE_BUCKET, type CloudServers } from "./cloud-servers.ts";
import { awaitWith } from "./cluster-process.ts";
import { ControlPlane } from "./control-plane.ts";
import { freePorts } from "./loopback.ts";
import { makeNamespace, WORKER_ACCOUNT, type ApiNamespace } from "./namespace.ts";
import { startProcessNode, type ProcessNode } from "./process-node.ts";
import { S3_CREDENTIALS, S3_REGION } from "./s3-server.ts";
import { startServiceProcess, type ServiceProcess } from "./service-process.ts";

export const BARE_API = "bare";
export const BARE_LEASE_SECONDS = 6;
const POD_TEMPLATE = "bare-worker";
const WORKER = join(import.meta.dirname, "../../../services/worker/main.ts");

type Variables = Readonly<Record<string, string>>;

interface Readiness {
  readonly status: string;
  readonly why?: string;
}

export class BareCloud extends ApiUser {
  readonly servers: CloudServers;
  readonly plane: ControlPlane;
  readonly namespace: ApiNamespace;
  /** The store, past the proxy. */
  readonly store: S3Store;
  readonly #node: ProcessNode;
  #service: ServiceProcess | undefined;
  #ports: readonly [doors: number, health: number] = [0, 0];

  private constructor(
    folder: string,
    servers: CloudServers,
    plane: ControlPlane,
    namespace: ApiNamespace,
    node: ProcessNode,
  ) {
    super(folder);
    this.servers = servers;
    this.plane = plane;
    this.namespace = namespace;
    this.#node = node;
    const access = { region: S3_REGION, endpoint: servers.s3Endpoint, credentials: S3_CREDENTIALS };
    this.store = new S3Store({ bucket: STORE_BUCKET, access });
  }

  /** Everything but the service. */
  static async start(lanes = 2): Promise<BareCloud> {
    const folder = await mkdtemp(join(tmpdir(), "millrace-bare-"));
    const servers = await startCloudServers(lanes);
    const plane = await ControlPlane.start().catch(async (error: unknown) => {
      await servers.stop();
      throw error;
    });
    try {
      const namespace = await makeNamespace(plane, BARE_API);
      // each in a folder of its own, as in pods
      const script = `mkdir -p "${folder}/$MILLRACE_POD_UID" && ${ENV.scratch}="${folder}/$MILLRACE_POD_UID" exec "$0" "$@"`;
      const commandOf = (_image: string, command: readonly string[]) => ["/bin/sh", "-c", script, ...command];
      const node = await startProcessNode(plane, { name: "process-node", commandOf });
      const cloud = new BareCloud(folder, servers, plane, namespace, node);
      await cloud.#declareTemplate();
      return cloud;
    } catch (error) {
      await plane.stop();
      await servers.stop();
      throw error;
    }
  }

  /** What the service says of itself; it must run. */
  get said(): string {
    return this.#service?.said() ?? "";
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${String(this.#ports[0])}${path}`, init);
  }

  /** Ends the one that runs, and starts one with these variables instead of the usual ones. */
  async startService(changed: Variables = {}): Promise<void> {
    await this.stopService();
    const [doors = 0, health = 0] = await freePorts(2);
    this.#ports = [doors, health];
    this.#service = startServiceProcess({ ...this.serviceVariables(doors, health), ...changed });
  }

  /** What a replica is told, for a test that starts its own. */
  serviceVariables(doors: number, health: number): Variables {
    return {
      ...this.servers.environment,
      KUBECONFIG: this.plane.writeKubeConfig("service", this.namespace.service),
      [ENV.api]: BARE_API,
      [ENV.store]: `s3://${STORE_BUCKET}`,
      [ENV.lanes]: this.servers.laneUrls.join(","),
      [ENV.logGroup]: LOG_GROUP,
      [ENV.leaseSeconds]: String(BARE_LEASE_SECONDS),
      [ENV.namespace]: this.namespace.name,
      [ENV.podTemplate]: POD_TEMPLATE,
      [ENV.port]: String(doors),
      [ENV.healthPort]: String(health),
    };
  }

  /** SIGTERM; answers how it ended, and after how many seconds. */
  async stopService(): Promise<{ readonly end: number | string; readonly seconds: number }> {
    const begun = performance.now();
    this.#service?.kill("SIGTERM");
    const end = (await this.#service?.ended) ?? 0;
    this.#service = undefined;
    return { end, seconds: (performance.now() - begun) / 1000 };
  }

  /** Waits until its health says so; throws what it says instead, and when its process has ended. */
  async whenHealth(is: (health: Readiness) => boolean, seconds = 60): Promise<string> {
    let last = "nothing";
    return awaitWith(
      "the service's health",
      [],
      async () => {
        if (this.#service?.hasEnded() !== false) throw new Error("the service has ended");
        const reply = await fetch(`http://127.0.0.1:${String(this.#ports[1])}/health/ready`);
        last = await reply.text();
        const health = JSON.parse(last) as Readiness;
        return is(health) && (health.why ?? "ready");
      },
      seconds,
    ).catch((error: unknown) => {
      throw new Error(`its health says ${last}, and it:\n${this.said.slice(-4_000)}`, { cause: error });
    });
  }

  whenReady(): Promise<string> {
    return this.whenHealth(({ status }) => status === "ready");
  }

  /** Every job submitted since the last call is final and keeps every invariant. */
  async proveAll(): Promise<void> {
    await this.verifyAll(this.store);
  }

  async end(): Promise<void> {
    for (const proxy of Object.values(this.servers.proxies)) {
      proxy.rules.clear();
      proxy.heal();
    }
    await this.stopService();
    await this.#node.crash();
    await this.plane.stop();
    await this.servers.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #declareTemplate(): Promise<void> {
    const namespace = this.namespace.name;
    const container: V1Container = {
      name: "worker",
      image: "none",
      command: [process.execPath, WORKER],
      env: Object.entries(this.servers.environment).map(([name, value]) => ({ name, value })),
    };
    const spec = { serviceAccountName: WORKER_ACCOUNT, terminationGracePeriodSeconds: 30, containers: [container] };
    await this.plane.admin.makeApiClient(CoreV1Api).createNamespacedPodTemplate({
      namespace,
      body: { metadata: { name: POD_TEMPLATE }, template: { spec } },
    });
  }
}
