/** The control plane of a cluster that is made here. */
import * as aws from "@pulumi/aws";
import * as eks from "@pulumi/eks";
import * as pulumi from "@pulumi/pulumi";
import type { Tags } from "../tags.ts";
import type { NetworkFacts } from "./network.ts";

/** Who may call the Kubernetes API from where. Nodes call it inside the VPC in any case. */
export type ApiServer =
  | {
      readonly kind: "public";
      /** Public IPv4 ranges of those who deploy, 1 to 40: `["203.0.113.7/32"]`. Who calls needs a right of IAM as well. */
      readonly cidrs: readonly string[];
      /** True: ranges wider than /8, such as `0.0.0.0/0`, are meant. */
      readonly openToTheInternet?: true;
    }
  /** Only from inside the VPC, where this program must run too: see `deployFromInsideVpc`. */
  | { readonly kind: "private" };

export const CONTROL_PLANE_LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"] as const;
export type ControlPlaneLog = (typeof CONTROL_PLANE_LOGS)[number];

export interface ControlPlaneArgs {
  readonly apiServer: ApiServer;
  readonly kubernetesVersion: string;
  readonly logs: readonly ControlPlaneLog[];
  readonly logRetentionDays: number;
  readonly admins: Readonly<Record<string, pulumi.Input<string>>>;
  readonly deployer:
    { readonly profileName?: pulumi.Input<string>; readonly roleArn?: pulumi.Input<string> } | undefined;
  readonly deletionProtection: boolean;
}

/** What EKS takes as a cluster's name: letters, digits, "-" and "_", 100 at most. */
export const CLUSTER_NAME_CHARACTERS_MAX = 100;

/** The cluster's name in AWS: no other stack of this account and region has it. */
export function clusterNameOf(name: string): string {
  return `${pulumi.getProject()}-${pulumi.getStack()}-${name}`.replaceAll(/[^0-9A-Za-z_-]/g, "-");
}

/** Nodes, add-ons and security groups are left to be declared one by one: what `eks.Cluster` makes beside these is its control plane. */
export function createControlPlane(
  name: string,
  args: ControlPlaneArgs,
  network: NetworkFacts,
  tags: Tags,
  parent: pulumi.Resource,
): eks.Cluster {
  // known beforehand: EKS writes to the log group of this name, and makes one that keeps all for ever where there is none
  const clusterName = clusterNameOf(name);
  return new eks.Cluster(
    `${name}-control-plane`,
    {
      name: clusterName,
      version: args.kubernetesVersion,
      // EKS's default is six times the price once standard support has ended
      upgradePolicy: { supportType: "STANDARD" },
      authenticationMode: eks.AuthenticationMode.Api,
      accessEntries: accessEntries(args.admins, tags, parent),
      ...endpointAccess(args.apiServer),
      ...{ vpcId: network.vpcId, privateSubnetIds: network.controlPlaneSubnetIds },
      enabledClusterLogTypes: [...args.logs],
      deletionProtection: args.deletionProtection,
      ...(args.deployer !== undefined && { providerCredentialOpts: args.deployer }),
      ...{ skipDefaultNodeGroup: true, skipDefaultSecurityGroups: true, createInstanceRole: false },
      ...{ bootstrapSelfManagedAddons: false, useDefaultVpcCni: true },
      ...{ corednsAddonOptions: { enabled: false }, kubeProxyAddonOptions: { enabled: false } },
      ...{ createOidcProvider: false, tags },
    },
    { parent, dependsOn: args.logs.length === 0 ? [] : [logGroup(name, clusterName, args, tags, parent)] },
  );
}

function logGroup(
  name: string,
  clusterName: string,
  { logRetentionDays: retentionInDays }: ControlPlaneArgs,
  tags: Tags,
  parent: pulumi.Resource,
): aws.cloudwatch.LogGroup {
  const group = { name: `/aws/eks/${clusterName}/cluster`, retentionInDays, tags };
  return new aws.cloudwatch.LogGroup(`${name}-control-plane-logs`, group, { parent });
}

function endpointAccess(apiServer: ApiServer) {
  if (apiServer.kind === "private") return { endpointPublicAccess: false, endpointPrivateAccess: true };
  return { endpointPublicAccess: true, endpointPrivateAccess: true, publicAccessCidrs: [...apiServer.cidrs] };
}

function accessEntries(admins: ControlPlaneArgs["admins"], tags: Tags, parent: pulumi.Resource) {
  const { partition } = aws.getPartitionOutput({}, { parent });
  const policyArn = pulumi.interpolate`arn:${partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`;
  const accessPolicies = { administration: { policyArn, accessScope: { type: "cluster" } } };
  return Object.fromEntries(
    Object.entries(admins).map(([who, principalArn]) => [who, { principalArn, accessPolicies, tags }]),
  );
}
