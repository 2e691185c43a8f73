/** A `BatchApi` as components render it, on real nodes: its Kubernetes objects on a real API server, its S3 objects in a store. */
import { readFile, rm, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudWatchLogsClient, CreateLogGroupCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CreateQueueCommand, SQSClient } from "@aws-sdk/client-sqs";
import { AppsV1Api, CoreV1Api, type V1Pod } from "@kubernetes/client-node";
import { BatchApi, type BatchApiArgs } from "../../../components/index.ts";
import { S3Store } from "../../../services/backends/object-store.s3.ts";
import { apiKeyHash, apiKeyOf } from "../../../services/protocol/api-keys.ts";
import { ENV } from "../../../services/protocol/environment.ts";
import { namespaceOf } from "../../../services/protocol/service-pods.ts";
import { aCluster, EXISTING } from "../../components/support/a-cluster.ts";
import { render, type DeclaredResource, type RenderedStack } from "../../components/support/render.ts";
import { ApiUser } from "../../support/api-user.ts";
import { startCloudServers, type CloudServers } from "./cloud-servers.ts";
import { awaitWith } from "./cluster-process.ts";
import { startCluster, type Cluster } from "./cluster.ts";
import { patched, type TestPlace } from "./declared-api-patches.ts";
import { ensureImages } from "./images.ts";
import { PodRoad } from "./pod-road.ts";
import { KubernetesBacking } from "./pulumi-kubernetes.ts";
import type { Properties } from "./pulumi-values.ts";
import { S3_CREDENTIALS, S3_REGION } from "./s3-server.ts";
import { ServiceEndpoints } from "./service-endpoints.ts";

export const API = "words";
const LANES = 2;
/** Ten times as fast as in earnest. */
const LEASE_SECONDS = 6;
const KEY = apiKeyOf("5".repeat(64));
const DEPLOYMENT = "kubernetes:apps/v1:Deployment";
const OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2";
const ANSWER_MILLISECONDS = 20_000;
const ROLL_SECONDS = 120;

type Given = Partial<Omit<BatchApiArgs, "cluster">>;
export type Images = { readonly service: string; readonly worker: string };

/** Owns cluster and servers. Nothing is declared before `up`. */
export class DeclaredApi extends ApiUser {
  readonly cluster: Cluster;
  /** By digest, as every node holds them. */
  readonly images: Images;
  readonly namespace = namespaceOf(API);
  /** What is rendered, on the real API server. */
  readonly backing: KubernetesBacking;
  readonly endpoints: ServiceEndpoints;
  readonly #tags: Images;
  readonly #servers: CloudServers;
  readonly #road: PodRoad;
  readonly #s3: S3Client;
  #store: S3Store | undefined;

  private constructor(
    folder: string,
    cluster: Cluster,
    servers: CloudServers,
    road: PodRoad,
    tags: Images,
    images: Images,
  ) {
    super(folder);
    this.cluster = cluster;
    this.#tags = tags;
    this.images = images;
    this.backing = new KubernetesBacking(cluster.admin);
    const service = { namespace: this.namespace, name: "service", portName: "doors" };
    this.endpoints = new ServiceEndpoints(cluster.admin, service);
    this.#servers = servers;
    this.#road = road;
    const access = { region: S3_REGION, endpoint: servers.s3Endpoint, credentials: S3_CREDENTIALS };
    this.#s3 = new S3Client({ ...access, forcePathStyle: true });
  }

  static async start(): Promise<DeclaredApi> {
    const built = await ensureImages();
    const folder = await mkdtemp(join(tmpdir(), "millrace-declared-"));
    const servers = await startCloudServers(0);
    const archives = [built.service.archive, built.worker.archive];
    const cluster = await startCluster({ nodes: 2, images: archives }).catch(async (error: unknown) => {
      await servers.stop();
      throw error;
    });
    try {
      const tags = { service: built.service.tag, worker: built.worker.tag };
      const images = { service: await pin(cluster, tags.service), worker: await pin(cluster, tags.worker) };
      const ports = Object.values(endpointsOf(servers)).map((url) => Number(new URL(url).port));
      const road = await PodRoad.open(cluster, [cluster.controlPlane.port, ...ports]);
      return new DeclaredApi(folder, cluster, servers, road, tags, images);
    } catch (error) {
      await cluster.stop();
      await servers.stop();
      throw error;
    }
  }

  /** The API as a stack declares it; its `version` is an output. Workers have the credentials of the tests' servers as `secrets`: no Pod Identity gives them any. */
  render(given: Given & Pick<BatchApiArgs, "code">): Promise<RenderedStack> {
    return render(() => {
      const cluster = aCluster({ kubernetesVersion: "1.34", existing: EXISTING });
      const { accessKeyId, secretAccessKey } = S3_CREDENTIALS;
      const { version } = new BatchApi(API, {
        cluster,
        image: this.images,
        auth: { kind: "apiKeys", keys: [{ name: "tests", sha256: apiKeyHash(KEY), scopes: ["admin"] }] },
        secrets: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
        concurrentJobsMax: LANES,
        ...given,
      });
      return { version };
    });
  }

  /** Other references of the same images: to Kubernetes these are others, and everything rolls. */
  async pinAnew(): Promise<Images> {
    const { service, worker } = this.#tags;
    return {
      service: await pin(this.cluster, service, "localhost/next/service"),
      worker: await pin(this.cluster, worker, "localhost/next/worker"),
    };
  }

  /** Makes it so, in the order in which the engine would: a Deployment has rolled before what depends on it is written. */
  async up(stack: RenderedStack): Promise<void> {
    const variables = serviceVariables(stack);
    const bucket = new URL(variables[ENV.store] ?? "").hostname;
    const place = await this.#place(variables, bucket);
    for (const resource of stack.resources) {
      if (resource.type === OBJECT) await this.#put(bucket, resource);
      else if (resource.type === DEPLOYMENT) {
        await this.apply(patched(resource.inputs, place));
        await this.#whenRolled();
      } else if (this.backing.holds(resource.type)) await this.apply(resource.inputs);
    }
  }

  /** One object, changed or not; a dry run says whether the API server takes it, and changes nothing. */
  async apply(object: object, { dryRun = false } = {}): Promise<void> {
    await this.backing.update("", object as Properties, dryRun);
  }

  get store(): S3Store {
    if (this.#store === undefined) throw new Error("nothing is up yet");
    return this.#store;
  }

  /** Through the Service, with an administrator's key. */
  request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string> | undefined), authorization: `Bearer ${KEY}` };
    const signal = AbortSignal.timeout(ANSWER_MILLISECONDS);
    return fetch(`http://${this.endpoints.next()}${path}`, { ...init, headers, signal });
  }

  async pods(labelSelector: string): Promise<readonly V1Pod[]> {
    const core = this.cluster.admin.makeApiClient(CoreV1Api);
    return (await core.listNamespacedPod({ namespace: this.namespace, labelSelector })).items;
  }

  async proveAll(): Promise<void> {
    await this.verifyAll(this.store);
  }

  /** Log of each pod, for the message of a failed test. */
  async said(): Promise<string> {
    const core = this.cluster.admin.makeApiClient(CoreV1Api);
    const logs = (await this.pods("")).map(async ({ metadata, status }) => {
      const name = metadata?.name ?? "";
      const log = await core.readNamespacedPodLog({ namespace: this.namespace, name, tailLines: 30 }).catch(String);
      return `--- ${name} ${JSON.stringify(status?.containerStatuses?.[0]?.state)}\n${log}`;
    });
    return (await Promise.all(logs)).join("\n");
  }

  async end(): Promise<void> {
    this.endpoints.stop();
    this.#s3.destroy();
    await this.#road.close();
    await this.cluster.stop();
    await this.#servers.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Makes what the stack's own resources of AWS would be: bucket, lanes and log group of the rendered names. */
  async #place(variables: Readonly<Record<string, string>>, bucket: string): Promise<TestPlace> {
    const { environment } = this.#servers;
    const names = (variables[ENV.lanes] ?? "").split(",").map((url) => url.slice(url.lastIndexOf("/") + 1));
    const paths = await this.#makeLanes(names);
    if (this.#store === undefined) {
      await this.#s3.send(new CreateBucketCommand({ Bucket: bucket }));
      await this.#makeLogGroup(variables[ENV.logGroup] ?? "");
      const access = { region: S3_REGION, endpoint: this.#servers.s3Endpoint, credentials: S3_CREDENTIALS };
      this.#store = new S3Store({ bucket, access });
    }
    const endpoints = Object.entries(endpointsOf(this.#servers)).map(([name, url]) => [name, this.#road.urlOf(url)]);
    return {
      address: this.#road.address,
      apiServerPort: this.cluster.controlPlane.port,
      cloud: { ...environment, ...(Object.fromEntries(endpoints) as Record<string, string>) },
      laneUrls: paths.map((path) => this.#road.urlOf(new URL(path, this.#servers.proxies.sqs.endpoint).href)),
      leaseSeconds: LEASE_SECONDS,
    };
  }

  /** Answers the paths of their URLs; those that are there stay as they are. */
  async #makeLanes(names: readonly string[]): Promise<readonly string[]> {
    const endpoint = this.#servers.proxies.sqs.endpoint;
    const client = new SQSClient({ region: S3_REGION, credentials: S3_CREDENTIALS, endpoint });
    const urls = names.map(async (QueueName) => (await client.send(new CreateQueueCommand({ QueueName }))).QueueUrl);
    const paths = (await Promise.all(urls)).map((url) => new URL(url ?? "").pathname);
    client.destroy();
    return paths;
  }

  async #makeLogGroup(logGroupName: string): Promise<void> {
    const endpoint = this.#servers.proxies.logs.endpoint;
    const access = { region: S3_REGION, credentials: S3_CREDENTIALS, endpoint, disableHostPrefix: true };
    const client = new CloudWatchLogsClient(access);
    await client.send(new CreateLogGroupCommand({ logGroupName }));
    client.destroy();
  }

  async #put(bucket: string, { inputs }: DeclaredResource): Promise<void> {
    const { key, content, contentType, source } = inputs as unknown as RenderedObject;
    const Body = source === undefined ? (content ?? "") : await readFile(await source.path);
    await this.#s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body, ContentType: contentType }));
  }

  async #whenRolled(): Promise<void> {
    const apps = this.cluster.admin.makeApiClient(AppsV1Api);
    const rolled = async () => {
      const { metadata, spec, status } = await apps.readNamespacedDeployment({
        ...{ namespace: this.namespace, name: "service" },
      });
      const wanted = spec?.replicas;
      return (
        status?.observedGeneration === metadata?.generation &&
        [status?.replicas, status?.updatedReplicas, status?.availableReplicas].every((count) => count === wanted)
      );
    };
    await awaitWith("the service to roll", [], rolled, ROLL_SECONDS).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await this.said()}`, { cause: error });
    });
  }
}

interface RenderedObject {
  readonly key: string;
  readonly contentType: string;
  /** One of the two. */
  readonly content?: string;
  readonly source?: { readonly path: Promise<string> };
}

/** On every node; answers the name by digest. */
async function pin({ nodes }: Cluster, tag: string, repository?: string): Promise<string> {
  const names = await Promise.all(nodes.map((node) => node.pinImage(tag, repository)));
  return names[0] ?? "";
}

/** S3 past its proxy: it has most of the requests, and nobody breaks it here. */
function endpointsOf({ s3Endpoint, environment }: CloudServers) {
  const endpoints = Object.entries(environment).filter(([name]) => name.startsWith(`${ENV.awsEndpoint}_`));
  return { ...Object.fromEntries(endpoints), [ENV.awsS3Endpoint]: s3Endpoint };
}

function serviceVariables(stack: RenderedStack): Readonly<Record<string, string>> {
  const { spec } = stack.one(DEPLOYMENT).inputs as {
    spec: { template: { spec: { containers: [{ env: readonly { name: string; value: string }[] }] } } };
  };
  return Object.fromEntries(spec.template.spec.containers[0].env.map(({ name, value }) => [name, value]));
}
