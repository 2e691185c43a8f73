/** The submission service of an API in the cluster: the Deployment, how it is reached, and how many of it may be away. */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { ENV } from "../../services/protocol/environment.ts";
import { CONTAINER_SECURITY, POD_SECURITY } from "../pod-security.ts";
import { API_KEYS_SECRET, DOORS_PORT, HEALTH_PORT, SERVICE_ACCOUNT, SERVICE_NAME, serviceLabels } from "./names.ts";

export interface SubmissionServiceArgs {
  readonly api: string;
  readonly namespace: pulumi.Output<string>;
  /** By digest. */
  readonly image: pulumi.Input<string>;
  /** Environment variables of the service. */
  readonly env: Readonly<Record<string, pulumi.Input<string>>>;
  /** How many replicas; they share the jobs. */
  readonly replicas: number;
  /** Whether a load balancer's nodes hand requests on to it. */
  readonly nodePort: boolean;
  /** Hashes of API keys, a line each; undefined: the doors have no keys. */
  readonly apiKeys: pulumi.Output<string> | undefined;
}

/** How long a replica is ready before the next one leaves: a lease, so that not all owners of lanes leave at once. */
const READY_SECONDS_MIN = 60;
/** A service drains for 20 s at most, after the 5 s in which the cluster learns that it leaves. */
const GRACE_SECONDS = 40;
const LEAVING_SECONDS = 5;
const KEYS_FOLDER = "/etc/millrace";
const KEYS_FILE = "api-keys";
/** Requests; measured with `npm run test:cloud`, see docs/components.md. */
export const SERVICE_REQUESTS = { cpu: "100m", memory: "256Mi" } as const;
/** It reads ledgers and listings of any length, but never whole ones. */
const MEMORY_LIMIT = "1Gi";

export interface SubmissionService {
  readonly deployment: k8s.apps.v1.Deployment;
  readonly service: k8s.core.v1.Service;
}

export function declareSubmissionService(
  name: string,
  args: SubmissionServiceArgs,
  options: pulumi.CustomResourceOptions,
): SubmissionService {
  const { api, namespace } = args;
  const labels = { ...serviceLabels(api) };
  if (args.apiKeys !== undefined) {
    new k8s.core.v1.Secret(
      `${name}-api-keys`,
      { metadata: { name: API_KEYS_SECRET, namespace }, stringData: { [KEYS_FILE]: args.apiKeys } },
      options,
    );
  }
  const deployment = new k8s.apps.v1.Deployment(
    `${name}-service`,
    {
      metadata: { name: SERVICE_NAME, namespace, labels },
      spec: {
        replicas: args.replicas,
        minReadySeconds: READY_SECONDS_MIN,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podOf(args, labels) },
      },
    },
    options,
  );
  new k8s.policy.v1.PodDisruptionBudget(
    `${name}-disruptions`,
    {
      metadata: { name: SERVICE_NAME, namespace },
      spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
    },
    options,
  );
  const service = new k8s.core.v1.Service(
    `${name}-address`,
    {
      metadata: { name: SERVICE_NAME, namespace, labels },
      spec: {
        type: args.nodePort ? "NodePort" : "ClusterIP",
        selector: labels,
        ports: [
          { name: "doors", port: DOORS_PORT, targetPort: "doors", protocol: "TCP" },
          { name: "health", port: HEALTH_PORT, targetPort: "health", protocol: "TCP" },
        ],
      },
    },
    options,
  );
  return { deployment, service };
}

function podOf(
  { image, env, apiKeys }: SubmissionServiceArgs,
  labels: Readonly<Record<string, string>>,
): k8s.types.input.core.v1.PodSpec {
  const withKeys = apiKeys === undefined ? {} : { [ENV.apiKeysFile]: `${KEYS_FOLDER}/${KEYS_FILE}` };
  const probe = (path: string) => ({ httpGet: { path, port: "health" }, timeoutSeconds: 5 });
  return {
    serviceAccountName: SERVICE_ACCOUNT,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    securityContext: POD_SECURITY,
    topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map((topologyKey) => ({
      ...{ maxSkew: 1, topologyKey, whenUnsatisfiable: "ScheduleAnyway" },
      labelSelector: { matchLabels: labels },
    })),
    containers: [
      {
        name: "service",
        image,
        env: Object.entries({ ...env, ...withKeys }).map(([variable, value]) => ({ name: variable, value })),
        ports: [
          { name: "doors", containerPort: DOORS_PORT },
          { name: "health", containerPort: HEALTH_PORT },
        ],
        resources: { requests: { ...SERVICE_REQUESTS }, limits: { memory: MEMORY_LIMIT } },
        startupProbe: { ...probe("/health/live"), periodSeconds: 2, failureThreshold: 60 },
        livenessProbe: { ...probe("/health/live"), periodSeconds: 10, failureThreshold: 6 },
        readinessProbe: { ...probe("/health/ready"), periodSeconds: 5, failureThreshold: 3 },
        lifecycle: { preStop: { sleep: { seconds: LEAVING_SECONDS } } },
        securityContext: CONTAINER_SECURITY,
        volumeMounts: [
          { name: "scratch", mountPath: "/tmp" },
          ...(apiKeys === undefined ? [] : [{ name: "api-keys", mountPath: KEYS_FOLDER, readOnly: true }]),
        ],
      },
    ],
    volumes: [
      { name: "scratch", emptyDir: {} },
      ...(apiKeys === undefined ? [] : [{ name: "api-keys", secret: { secretName: API_KEYS_SECRET } }]),
    ],
  };
}
