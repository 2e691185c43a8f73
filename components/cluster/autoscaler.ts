/** The Cluster Autoscaler: adds nodes for pods that wait, removes nodes that nobody needs. */
import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { PodRole } from "../pod-role.ts";
import { CONTAINER_SECURITY } from "../pod-security.ts";
import type { Statement } from "../statements.ts";
import type { Tags } from "../tags.ts";

/** Its releases by Kubernetes version: it must be of the cluster's. https://github.com/kubernetes/autoscaler/releases */
export const AUTOSCALER_TAGS: Readonly<Record<string, string>> = {
  "1.33": "v1.33.5",
  "1.34": "v1.34.4",
  "1.35": "v1.35.1",
  "1.36": "v1.36.1",
};

const NAME = "cluster-autoscaler";
const NAMESPACE = "kube-system";
const HEALTH_PORT = 8085;

export interface AutoscalerPlace {
  readonly clusterName: pulumi.Output<string>;
  readonly clusterArn: pulumi.Output<string>;
  readonly kubernetesVersion: string;
  readonly provider: k8s.Provider;
  /** Default: the project's own registry. */
  readonly image: string | undefined;
}

/** Declares it with its rights, one replica: while it is away, nodes stay as they are. */
export function createAutoscaler(name: string, place: AutoscalerPlace, tags: Tags, parent: pulumi.Resource): void {
  const role = new PodRole(
    `${name}-autoscaler`,
    {
      cluster: { clusterName: place.clusterName, clusterArn: place.clusterArn },
      ...{ namespace: NAMESPACE, serviceAccount: NAME },
      statements: [...describeNodeGroups(place.clusterArn), ...scaleNodeGroups(place.clusterArn)],
      tags,
    },
    { parent },
  );
  const options = { parent, provider: place.provider };
  const rights = grantKubernetesRights(`${name}-autoscaler`, options);
  const priorities = new k8s.core.v1.ConfigMap(
    `${name}-autoscaler-priorities`,
    {
      metadata: { name: `${NAME}-priority-expander`, namespace: NAMESPACE, labels: LABELS },
      data: { priorities: prioritiesByName() },
    },
    options,
  );
  const { region } = aws.getRegionOutput({}, { parent });
  new k8s.apps.v1.Deployment(
    `${name}-autoscaler`,
    {
      metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS },
      spec: {
        replicas: 1,
        selector: { matchLabels: LABELS },
        template: { metadata: { labels: LABELS }, spec: podSpec(place, region) },
      },
    },
    // credentials are handed to a pod when it is made, so the role comes first
    { ...options, dependsOn: [role, priorities, ...rights] },
  );
}

/** Of a node group: higher ones grow first. The lowest is everybody's who says nothing. */
export const PRIORITY = { min: 1, max: 9 } as const;

/** How a node group's name tells its priority: the Auto Scaling group has it in its own, and the autoscaler knows that alone. */
export function prioritySuffix(priority: number): string {
  return `priority-${String(priority)}`;
}

/** YAML of the expander: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/expander/priority/readme.md */
function prioritiesByName(): string {
  const { min, max } = PRIORITY;
  const levels = Array.from({ length: max - min }, (_, at) => max - at);
  const named = levels.map((level) => `${String(level)}:\n  - ".*-${prioritySuffix(level)}-.*"\n`);
  return `${named.join("")}${String(min)}:\n  - ".*"\n`;
}

const LABELS = { "app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "millrace" };

function podSpec(place: AutoscalerPlace, region: pulumi.Input<string>) {
  const tag = AUTOSCALER_TAGS[place.kubernetesVersion] ?? "";
  return {
    serviceAccountName: NAME,
    priorityClassName: "system-cluster-critical",
    securityContext: {
      ...{ runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, fsGroup: 65534 },
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: NAME,
        image: place.image ?? `registry.k8s.io/autoscaling/cluster-autoscaler:${tag}`,
        command: ["./cluster-autoscaler", ...flags(place.clusterName)],
        // pods do not reach the node's metadata, which would tell the region
        env: [{ name: "AWS_REGION", value: region }],
        ports: [{ name: "health", containerPort: HEALTH_PORT }],
        livenessProbe: {
          httpGet: { path: "/health-check", port: HEALTH_PORT },
          initialDelaySeconds: 30,
          periodSeconds: 30,
        },
        readinessProbe: { httpGet: { path: "/health-check", port: HEALTH_PORT }, periodSeconds: 10 },
        // no limit on processors: a held-up look at the cluster is a late node
        resources: { requests: { cpu: "50m", memory: "200Mi" }, limits: { memory: "600Mi" } },
        securityContext: CONTAINER_SECURITY,
      },
    ],
  };
}

/** https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md#what-are-the-parameters-to-ca */
function flags(clusterName: pulumi.Output<string>): pulumi.Input<string>[] {
  return [
    "--cloud-provider=aws",
    pulumi.interpolate`--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/${clusterName}`,
    "--expander=priority,least-waste",
    // a GPU that idles for five minutes has cost enough
    "--scale-down-unneeded-time=5m",
    // a group that has no capacity to give is passed over after this
    "--max-node-provision-time=15m",
    // services and CoreDNS may be moved, so that a system node can go; workers say of themselves that they may not
    "--skip-nodes-with-system-pods=false",
    "--skip-nodes-with-local-storage=false",
    "--ignore-daemonsets-utilization",
    "--stderrthreshold=info",
    "--v=2",
  ];
}

/** Sees groups, and what their nodes would be. AWS knows no narrower resource than all for most of it. */
export function describeNodeGroups(clusterArn: pulumi.Input<string>): readonly Statement[] {
  return [
    {
      Sid: "DescribeHasNoResources",
      Effect: "Allow",
      Action: [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLaunchConfigurations",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeTags",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetInstanceTypesFromInstanceRequirements",
      ],
      Resource: "*",
    },
    {
      Sid: "DescribeEmptyGroups",
      Effect: "Allow",
      Action: "eks:DescribeNodegroup",
      Resource: pulumi.output(clusterArn).apply((arn) => `${arn.replace(":cluster/", ":nodegroup/")}/*`),
    },
  ];
}

/** Sets the size of groups, and ends nodes, of this cluster alone: EKS tags the groups of a cluster with its name. */
export function scaleNodeGroups(clusterArn: pulumi.Input<string>): readonly Statement[] {
  const arn = pulumi.output(clusterArn);
  return [
    {
      Sid: "ScaleOwnGroups",
      Effect: "Allow",
      Action: ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
      Resource: arn.apply((text) => {
        const [, partition = "", , region = "", account = ""] = text.split(":");
        return `arn:${partition}:autoscaling:${region}:${account}:autoScalingGroup:*:autoScalingGroupName/*`;
      }),
      Condition: arn.apply((text) => {
        const clusterName = text.slice(text.indexOf("/") + 1);
        return { StringEquals: { [`aws:ResourceTag/k8s.io/cluster-autoscaler/${clusterName}`]: "owned" } };
      }),
    },
  ];
}

const READ = ["get", "list", "watch"];

/** What it watches to foresee where a pod would fit. It waits for each of these before it scales anything. */
const CLUSTER_RULES = [
  { apiGroups: [""], resources: ["events", "endpoints"], verbs: ["create", "patch"] },
  { apiGroups: [""], resources: ["pods/eviction"], verbs: ["create"] },
  { apiGroups: [""], resources: ["pods/status"], verbs: ["update"] },
  { apiGroups: [""], resources: ["endpoints"], resourceNames: [NAME], verbs: ["get", "update"] },
  { apiGroups: [""], resources: ["nodes"], verbs: [...READ, "update"] },
  {
    apiGroups: [""],
    resources: [
      ...["namespaces", "pods", "services", "replicationcontrollers"],
      ...["persistentvolumeclaims", "persistentvolumes"],
    ],
    verbs: READ,
  },
  { apiGroups: ["apps"], resources: ["statefulsets", "replicasets", "daemonsets"], verbs: READ },
  { apiGroups: ["batch"], resources: ["jobs", "cronjobs"], verbs: READ },
  { apiGroups: ["batch"], resources: ["jobs"], verbs: ["patch"] },
  { apiGroups: ["policy"], resources: ["poddisruptionbudgets"], verbs: ["list", "watch"] },
  {
    apiGroups: ["storage.k8s.io"],
    resources: ["storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"],
    verbs: READ,
  },
  // since 1.35 it cannot be told not to: https://github.com/kubernetes/autoscaler/pull/10278
  { apiGroups: ["resource.k8s.io"], resources: ["deviceclasses", "resourceclaims", "resourceslices"], verbs: READ },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: [NAME], verbs: ["get", "update"] },
];

const NAMESPACE_RULES = [
  { apiGroups: [""], resources: ["configmaps"], verbs: ["create", "list", "watch"] },
  {
    apiGroups: [""],
    resources: ["configmaps"],
    resourceNames: [`${NAME}-status`, `${NAME}-priority-expander`],
    verbs: ["delete", "get", "update", "watch"],
  },
];

/** As upstream's example for AWS, and what its newer versions watch. */
function grantKubernetesRights(
  name: string,
  options: { readonly parent: pulumi.Resource; readonly provider: k8s.Provider },
): readonly pulumi.Resource[] {
  const metadata = { name: NAME, labels: LABELS };
  const inNamespace = { ...metadata, namespace: NAMESPACE };
  const subjects = [{ kind: "ServiceAccount", name: NAME, namespace: NAMESPACE }];
  const roleRef = (kind: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name: NAME });
  const { v1 } = k8s.rbac;
  return [
    new k8s.core.v1.ServiceAccount(name, { metadata: inNamespace }, options),
    new v1.ClusterRole(`${name}-cluster`, { metadata, rules: CLUSTER_RULES }, options),
    new v1.ClusterRoleBinding(`${name}-cluster`, { metadata, subjects, roleRef: roleRef("ClusterRole") }, options),
    new v1.Role(`${name}-own`, { metadata: inNamespace, rules: NAMESPACE_RULES }, options),
    new v1.RoleBinding(`${name}-own`, { metadata: inNamespace, subjects, roleRef: roleRef("Role") }, options),
  ];
}
