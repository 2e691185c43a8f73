/** A batch API as it runs in a cluster: real nodes, service replicas and workers in pods, servers of the cloud's protocols. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, type V1Container, type V1PodSpec } from "@kubernetes/client-node";
import type { Literal } from "../../../services/protocol/worker-pods.ts";
import { S3Store } from "../../../services/backends/object-store.s3.ts";
import { ENV } from "../../../services/protocol/environment.ts";
import { ApiUser } from "../../support/api-user.ts";
import { awaitWith } from "./cluster-process.ts";
import { LOG_GROUP, startCloudServers, STORE_BUCKET, type CloudServers } from "./cloud-servers.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";
import { ensureImages } from "./images.ts";
import { freePorts } from "./loopback.ts";
import { SERVICE_ACCOUNT, WORKER_ACCOUNT, type ApiNamespace } from "./namespace.ts";
import { CallRecorder, SERVICE_MARK, WORKER_MARK } from "./call-recorder.ts";
import { S3_CREDENTIALS, S3_REGION } from "./s3-server.ts";

export const API = "photos";
export const POD_TEMPLATE = "photos-worker";
/** Ten times as fast as in earnest. */
export const LEASE_SECONDS = 6;

export interface CloudOptions {
  readonly lanes?: number;
  readonly replicas?: number;
  /** Changes the worker's container, and its pod. */
  readonly worker?: Partial<V1Container>;
  readonly pod?: Partial<V1PodSpec>;
  readonly controlPlane?: ControlPlaneOptions;
}

/** A replica that takes longer is as good as one that is gone. */
const ANSWER_MILLISECONDS = 10_000;

interface Replica {
  readonly name: string;
  readonly port: number;
  readonly healthPort: number;
}

type Images = Awaited<ReturnType<typeof ensureImages>>;

export class CloudUnderTest extends ApiUser {
  readonly servers: CloudServers;
  readonly cluster: Cluster;
  readonly namespace: ApiNamespace;
  /** The store, past the proxy. */
  readonly store: S3Store;
  readonly replicas: readonly Replica[];
  readonly images: Images;
  /** What service, workers and builders ask of the servers. */
  readonly calls: CallRecorder;
  /** Whom the next requests go to. */
  asked = 0;

  private constructor(
    folder: string,
    parts: Pick<CloudUnderTest, "servers" | "cluster" | "namespace" | "replicas" | "images">,
  ) {
    super(folder);
    ({
      servers: this.servers,
      cluster: this.cluster,
      namespace: this.namespace,
      replicas: this.replicas,
      images: this.images,
    } = parts);
    this.calls = new CallRecorder(this.servers);
    const access = { region: S3_REGION, endpoint: this.servers.s3Endpoint, credentials: S3_CREDENTIALS };
    this.store = new S3Store({ bucket: STORE_BUCKET, access });
  }

  static async start(options: CloudOptions = {}): Promise<CloudUnderTest> {
    const images = await ensureImages();
    const folder = await mkdtemp(join(tmpdir(), "millrace-cloud-"));
    const servers = await startCloudServers(options.lanes ?? 2);
    const archives = [images.service.archive, images.worker.archive];
    const cluster = await startCluster({ ...options.controlPlane, nodes: 2, images: archives }).catch(
      async (error: unknown) => {
        await servers.stop();
        throw error;
      },
    );
    try {
      const namespace = await cluster.makeNamespace(API);
      const ports = await freePorts(2 * (options.replicas ?? 2));
      const replicas = Array.from({ length: options.replicas ?? 2 }, (_, at) => {
        return { name: `service-${String(at)}`, port: ports[2 * at] ?? 0, healthPort: ports[2 * at + 1] ?? 0 };
      });
      const cloud = new CloudUnderTest(folder, { servers, cluster, namespace, replicas, images });
      await cloud.declareTemplate(options.worker, options.pod);
      for (const replica of replicas) await cloud.#deployReplica(replica);
      for (const replica of replicas) await cloud.whenReady(replica);
      return cloud;
    } catch (error) {
      await cluster.stop();
      await servers.stop();
      throw error;
    }
  }

  /** What a worker's container is told, beside what the service tells it. */
  get workerEnvironment(): Readonly<Record<string, string>> {
    return { ...this.servers.environment, ...WORKER_MARK };
  }

  /** Asks another replica when one does not answer, and goes on with that. */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    for (let left = this.replicas.length - 1; ; left -= 1) {
      const port = this.replicas[this.asked % this.replicas.length]?.port ?? 0;
      try {
        const signal = AbortSignal.timeout(ANSWER_MILLISECONDS);
        return await fetch(`http://127.0.0.1:${String(port)}${path}`, { ...init, signal });
      } catch (error) {
        if (left === 0) throw error;
        this.asked += 1;
      }
    }
  }

  /** Makes the worker's PodTemplate, or another one of that name. */
  async declareTemplate(worker: Partial<V1Container> = {}, pod: Partial<V1PodSpec> = {}): Promise<void> {
    const core = this.cluster.admin.makeApiClient(CoreV1Api);
    const namespace = this.namespace.name;
    const container: V1Container = {
      ...this.#container("worker", this.images.worker.tag, this.workerEnvironment),
      resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
      ...worker,
    };
    const spec: V1PodSpec = {
      ...this.#pod(WORKER_ACCOUNT, container),
      // a node that is gone is given up at once: a test has no five minutes
      tolerations: tolerating(1),
      terminationGracePeriodSeconds: 30,
      automountServiceAccountToken: false,
      ...pod,
    };
    await core.deleteNamespacedPodTemplate({ namespace, name: POD_TEMPLATE }).catch(() => undefined); // the first one
    await core.createNamespacedPodTemplate({
      namespace,
      body: { metadata: { name: POD_TEMPLATE }, template: { spec } },
    });
  }

  async whenReady({ name, healthPort }: Replica, seconds = 120): Promise<void> {
    await awaitWith(
      `${name} to be ready`,
      [],
      async () => {
        const reply = await fetch(`http://127.0.0.1:${String(healthPort)}/health/ready`);
        const body = await reply.text();
        if (!reply.ok) throw new Error(body);
        return true;
      },
      seconds,
    );
  }

  /** Every job submitted so far is final and keeps every invariant; no Job of a worker generation is left. */
  async proveAll(): Promise<void> {
    await this.verifyAll(this.store);
  }

  /** Log of each pod of a replica, for the message of a failed test. */
  async said(): Promise<string> {
    const core = this.cluster.admin.makeApiClient(CoreV1Api);
    const namespace = this.namespace.name;
    const { items } = await core.listNamespacedPod({ namespace });
    const logs = items.map(async ({ metadata, status }) => {
      const name = metadata?.name ?? "";
      const log = await core.readNamespacedPodLog({ namespace, name, tailLines: 30 }).catch(String);
      return `--- ${name} ${status?.phase ?? ""}\n${log}`;
    });
    return (await Promise.all(logs)).join("\n");
  }

  async end(): Promise<void> {
    await this.cluster.stop();
    await this.servers.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #deployReplica({ name, port, healthPort }: Replica): Promise<void> {
    const apps = this.cluster.admin.makeApiClient(AppsV1Api);
    const labels = { app: name };
    const values = {
      [ENV.api]: API,
      [ENV.store]: `s3://${STORE_BUCKET}`,
      [ENV.lanes]: this.servers.laneUrls.join(","),
      [ENV.logGroup]: LOG_GROUP,
      [ENV.leaseSeconds]: String(LEASE_SECONDS),
      [ENV.namespace]: this.namespace.name,
      [ENV.podTemplate]: POD_TEMPLATE,
      [ENV.port]: String(port),
      [ENV.healthPort]: String(healthPort),
    };
    const told = { ...this.servers.environment, ...SERVICE_MARK };
    const base = this.#container("service", this.images.service.tag, told);
    const container: V1Container = {
      ...base,
      env: [...(base.env ?? []), ...this.namespace.environment, ...environmentOf(values)],
      resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
    };
    await apps.createNamespacedDeployment({
      namespace: this.namespace.name,
      body: {
        metadata: { name },
        spec: {
          replicas: 1,
          strategy: { type: "Recreate" }, // its ports are the host's
          selector: { matchLabels: labels },
          // a second one beside it on a node that is only cut off would find its ports taken
          template: {
            metadata: { labels },
            spec: { ...this.#pod(SERVICE_ACCOUNT, container), tolerations: tolerating(300) },
          },
        },
      },
    });
  }

  /** Read-only root, no rights on the machine, and the servers' addresses and credentials. */
  #container(name: string, image: string, environment: Readonly<Record<string, string>>): Literal<V1Container> {
    return {
      name,
      image,
      imagePullPolicy: "Never",
      env: environmentOf(environment),
      volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
      securityContext: {
        runAsNonRoot: true,
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
      },
    };
  }

  /** On the host's network: the servers listen on its loopback. */
  #pod(serviceAccountName: string, container: V1Container): Literal<V1PodSpec> {
    return { serviceAccountName, hostNetwork: true, volumes: [{ name: "tmp", emptyDir: {} }], containers: [container] };
  }
}

/** How long pods stay bound to a node that does not answer. */
function tolerating(tolerationSeconds: number) {
  return ["unreachable", "not-ready"].map((state) => {
    const key = `node.kubernetes.io/${state}`;
    return { key, operator: "Exists", effect: "NoExecute", tolerationSeconds };
  });
}

function environmentOf(values: Readonly<Record<string, string>>) {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
