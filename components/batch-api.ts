/** One Batch API: its service in the cluster, its workers' pods, its lanes, rights and logs. */
import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { encodeApiKeyLine } from "../services/protocol/api-keys.ts";
import type { ApiSpec } from "../services/protocol/api-spec.ts";
import { encodeAuth, type AuthConfig } from "../services/protocol/auth.ts";
import { codeOwnerText } from "../services/protocol/code-owner.ts";
import { ENV } from "../services/protocol/environment.ts";
import type { PodTemplate } from "../services/protocol/jobs.ts";
import { ApiLogGroup } from "./api-log-group.ts";
import { apiRights } from "./api-rights.ts";
import { BATCH_API_DEFAULTS, type BatchApiArgs, type SpecOverrides } from "./batch-api-args.ts";
import { checkBatchApiArgs, type CheckedApi } from "./batch-api/check-args.ts";
import { declareLoadBalancer } from "./batch-api/load-balancer.ts";
import {
  BUILDER_ACCOUNT,
  DOORS_PORT,
  namespaceOf,
  POD_TEMPLATE,
  SERVICE_ACCOUNT,
  SERVICE_NAME,
  WORKER_ACCOUNT,
  WORKER_SECRET,
} from "./batch-api/names.ts";
import { declareNamespace } from "./batch-api/namespace.ts";
import { declareSubmissionService, type SubmissionService } from "./batch-api/submission-service.ts";
import { workerTemplate } from "./batch-api/worker-template.ts";
import { HandlerProject } from "./handler-project.ts";
import { PodRole } from "./pod-role.ts";
import { ownTags } from "./tags.ts";
import { WorkQueue } from "./work-queue.ts";

/**
 * A Batch API on a `BatchCluster`; its name is the API's (a DNS label of at most 42 characters).
 *
 *     const api = new BatchApi("image-classifier", {
 *       cluster,
 *       runsOn: [gpus],
 *       code: { kind: "project", path: "./image-classifier" },
 *       reads: ["s3://acme-photos/2026/"],
 *     });
 *     export const { connect } = api;
 *
 * Owns a namespace with everything in it, three roles, the lanes, the log group, and the objects that say what code runs. Jobs
 * are not its own: they are in the cluster's store, survive `pulumi destroy`, and go on when the API is declared again.
 *
 * @throws {pulumi.InputPropertyError} when an argument is wrong; the message names it and what to write
 */
export class BatchApi extends pulumi.ComponentResource {
  /** Where its doors are: the balancer's address, or inside of the cluster; undefined while only `connect` reaches them. */
  readonly endpoint: pulumi.Output<string> | undefined;
  /** The command that makes this API the one that `millrace` talks to. */
  readonly connect: pulumi.Output<string>;
  readonly bucket: pulumi.Output<string>;
  readonly logGroup: pulumi.Output<string>;
  readonly namespace: pulumi.Output<string>;
  /** The version that new jobs get, of a pinned project; undefined where code is deployed. */
  readonly version: pulumi.Output<string> | undefined;

  constructor(name: string, args: BatchApiArgs, opts?: pulumi.ComponentResourceOptions) {
    const checked = checkBatchApiArgs(name, args);
    super("millrace:index:BatchApi", name, {}, opts);
    const own = { parent: this };
    const inCluster = { parent: this, provider: args.cluster.provider };
    const doorsOpen = args.auth !== undefined;
    const keys = args.cluster.store.kmsKeyArn;
    const tags = { "millrace:api": name, ...args.tags };
    const queue = new WorkQueue(
      `${name}-queue`,
      {
        lanes: args.concurrentJobsMax ?? BATCH_API_DEFAULTS.concurrentJobsMax,
        ...(args.alarmActions === undefined ? {} : { alarmActions: args.alarmActions }),
        ...(keys === undefined ? {} : { kmsKeyArn: keys }),
        tags,
      },
      own,
    );
    const retention = args.logRetentionDays === undefined ? {} : { retentionDays: args.logRetentionDays };
    const logs = new ApiLogGroup(`${name}-log-group`, { ...retention, tags }, own);
    const namespace = declareNamespace(name, { api: name, doorsOpen }, inCluster);
    const roles = this.#roles(name, args, checked, { queue, logs, namespace });
    const template = this.#template(name, args, checked, namespace, inCluster);
    const project = this.#project(name, args, checked, template);
    const service = this.#service(name, args, { queue, logs, namespace }, { ...inCluster, dependsOn: [...roles] });
    if (project !== undefined) this.#makeCurrent(name, args, project, service);
    const address = this.#address(name, args, service, tags);
    this.endpoint = address;
    this.bucket = args.cluster.store.bucketName;
    this.logGroup = logs.logGroupName;
    this.namespace = namespace;
    this.version = project?.version;
    this.connect =
      args.ingress?.kind === "loadBalancer" && address !== undefined
        ? pulumi.interpolate`millrace context add ${name} --address ${address}`
        : pulumi.output(`millrace connect ${name} --namespace ${namespaceOf(name)}`);
    this.registerOutputs({
      endpoint: this.endpoint,
      connect: this.connect,
      bucket: this.bucket,
      logGroup: this.logGroup,
    });
  }

  /** Service, workers and builders: each its own role, none more than it needs. */
  #roles(name: string, args: BatchApiArgs, checked: CheckedApi, parts: Parts): readonly PodRole[] {
    const { cluster, permissions = [], deadLetterQueues = [], datasetKeyArns = [] } = args;
    const { kmsKeyArn } = cluster.store;
    const rights = apiRights({
      ...{ store: cluster.store, api: name, reads: checked.reads, writes: checked.writes },
      ...{ laneArns: parts.queue.laneArns, laneKeyArn: kmsKeyArn, logGroupArn: parts.logs.logGroupArn },
      ...{ datasetKeyArns, deadLetterQueueArns: deadLetterQueues },
      partition: aws.getPartitionOutput({}, { parent: this }).partition,
    });
    const accounts = {
      [SERVICE_ACCOUNT]: rights.service,
      [WORKER_ACCOUNT]: [...rights.worker, ...permissions],
      [BUILDER_ACCOUNT]: rights.builder,
    };
    const tags = { "millrace:api": name, ...args.tags };
    return Object.entries(accounts).map(
      ([serviceAccount, statements]) =>
        new PodRole(
          `${name}-${serviceAccount}`,
          { cluster, namespace: parts.namespace, serviceAccount, statements, tags },
          { parent: this },
        ),
    );
  }

  /** The workers' pods, as an object of the cluster too: visible there, and judged by its API server. */
  #template(
    name: string,
    args: BatchApiArgs,
    checked: CheckedApi,
    namespace: pulumi.Output<string>,
    inCluster: pulumi.CustomResourceOptions,
  ): pulumi.Output<PodTemplate> {
    const { runsOn = [], env = {}, secrets = {} } = args;
    const hasSecrets = Object.keys(secrets).length > 0;
    if (hasSecrets) {
      const metadata = { name: WORKER_SECRET, namespace };
      new k8s.core.v1.Secret(`${name}-secrets`, { metadata, stringData: pulumi.secret({ ...secrets }) }, inCluster);
    }
    const [group] = runsOn;
    const image = args.image?.worker ?? args.cluster.images.worker(group?.shape.architecture);
    const template = pulumi
      .all([pulumi.output(image), pulumi.output({ ...env })])
      .apply(([ref, variables]) =>
        workerTemplate({ api: name, image: ref, runsOn, compute: checked.compute, env: variables, hasSecrets }),
      );
    new k8s.core.v1.PodTemplate(
      `${name}-workers`,
      {
        metadata: { name: POD_TEMPLATE, namespace },
        template: template as pulumi.Output<k8s.types.input.core.v1.PodTemplateSpec>,
      },
      inCluster,
    );
    return template;
  }

  #project(
    name: string,
    { cluster, code, overrides = {}, tags }: BatchApiArgs,
    { project }: CheckedApi,
    podTemplate: pulumi.Output<PodTemplate>,
  ): HandlerProject | undefined {
    if (code.kind === "deployed" || project === undefined) return undefined;
    return new HandlerProject(
      `${name}-project`,
      {
        ...{ store: cluster.store, api: name, path: code.path, podTemplate },
        specOf: (spec) => overridden(spec, overrides),
        tags: { "millrace:api": name, ...tags },
      },
      { parent: this },
    );
  }

  #service(name: string, args: BatchApiArgs, parts: Parts, options: pulumi.CustomResourceOptions): SubmissionService {
    const { auth, cluster, code } = args;
    const { region } = aws.getRegionOutput({}, { parent: this });
    const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    const keys = auth?.kind === "apiKeys" ? auth.keys : undefined;
    const lines = keys?.map((key) => pulumi.output(key).apply((line) => encodeApiKeyLine(line)));
    return declareSubmissionService(
      name,
      {
        ...{ api: name, namespace: parts.namespace },
        image: args.image?.service ?? cluster.images.service(),
        replicas: args.replicas ?? BATCH_API_DEFAULTS.replicas,
        nodePort: args.ingress?.kind === "loadBalancer",
        apiKeys: lines && pulumi.secret(pulumi.all(lines).apply((all) => `${all.join("\n")}\n`)),
        env: {
          AWS_REGION: region,
          [ENV.api]: name,
          [ENV.store]: pulumi.interpolate`s3://${cluster.store.bucketName}`,
          [ENV.lanes]: parts.queue.laneUrls.apply((urls) => urls.join(",")),
          [ENV.logGroup]: parts.logs.logGroupName,
          [ENV.namespace]: parts.namespace,
          [ENV.podTemplate]: POD_TEMPLATE,
          [ENV.builderServiceAccount]: BUILDER_ACCOUNT,
          [ENV.workersMax]: String(args.workersMax ?? BATCH_API_DEFAULTS.workersMax),
          ...(args.createApis === undefined ? {} : { [ENV.createApisMax]: String(args.createApis.namesMax) }),
          ...retentionEnv(args.retention),
          [ENV.code]: codeOwnerText(code.kind === "project" ? { kind: "pinned", stack } : { kind: "deployed" }),
          ...(auth === undefined ? {} : { [ENV.auth]: encodeAuth(authConfigOf(args)) }),
        },
      },
      options,
    );
  }

  /** From here on new jobs get the new version: after the service that knows how to run it has rolled. */
  #makeCurrent(name: string, args: BatchApiArgs, project: HandlerProject, service: SubmissionService): void {
    new aws.s3.BucketObjectv2(
      `${name}-current`,
      {
        bucket: args.cluster.store.bucketName,
        key: project.current.key,
        content: project.current.content,
        contentType: "application/json",
        tags: ownTags("BatchApi", name, args.tags),
      },
      { parent: this, retainOnDelete: true, dependsOn: [service.deployment, project] },
    );
  }

  #address(
    name: string,
    { auth, cluster, ingress }: BatchApiArgs,
    { service }: SubmissionService,
    tags: BatchApiArgs["tags"],
  ): pulumi.Output<string> | undefined {
    if (ingress?.kind !== "loadBalancer") {
      return auth === undefined
        ? undefined
        : pulumi.output(`http://${SERVICE_NAME}.${namespaceOf(name)}.svc:${String(DOORS_PORT)}`);
    }
    const nodePort = (at: number) => service.spec.ports.apply((ports) => ports[at]?.nodePort ?? 0);
    const { scheme, certificateArn, cidrs } = ingress;
    const dnsName = declareLoadBalancer(
      name,
      {
        ...{ cluster, scheme, certificateArn, cidrs },
        // checked: a cluster without it has no balancer
        nodesGroupName: cluster.systemAutoScalingGroupName ?? "",
        ...{ doorsNodePort: nodePort(0), healthNodePort: nodePort(1) },
        tags: ownTags("BatchApi", name, tags),
      },
      this,
    );
    return pulumi.interpolate`https://${ingress.hostname ?? dnsName}`;
  }
}

/** What is not said is left to the service's own defaults. */
function retentionEnv({ resultsDays, recordsDays }: NonNullable<BatchApiArgs["retention"]> = {}) {
  return {
    ...(resultsDays === undefined ? {} : { [ENV.resultsDays]: String(resultsDays) }),
    ...(recordsDays === undefined ? {} : { [ENV.recordsDays]: String(recordsDays) }),
  };
}

interface Parts {
  readonly queue: WorkQueue;
  readonly logs: ApiLogGroup;
  readonly namespace: pulumi.Output<string>;
}

/** What the service checks itself. Behind a balancer its peers are nodes of the VPC: the balancer's own rules keep others out. */
function authConfigOf({ auth, ingress, cluster }: BatchApiArgs): AuthConfig {
  if (auth === undefined) return { kind: "none" };
  if (auth.kind === "apiKeys") return { kind: "apiKeys" };
  if (auth.kind === "jwt" || ingress?.kind !== "loadBalancer") return auth;
  return { ...auth, cidrs: [...new Set([...auth.cidrs, cluster.vpcCidr])] };
}

function overridden(spec: ApiSpec, overrides: SpecOverrides): ApiSpec {
  const { config, env, workers, batchSize, attempts, isolate, batchTimeoutSeconds } = overrides;
  return {
    ...spec,
    config: { ...spec.config, ...config },
    env: { ...spec.env, ...env },
    ...(workers === undefined ? {} : { workers }),
    ...(batchSize === undefined ? {} : { batch_size: batchSize }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(isolate === undefined ? {} : { isolate }),
    ...(batchTimeoutSeconds === undefined ? {} : { batch_timeout_seconds: batchTimeoutSeconds }),
  };
}
