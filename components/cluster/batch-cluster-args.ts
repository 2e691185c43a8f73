/** The arguments of a cluster: what they say, and what is wrong with them. */
import type { Input } from "@pulumi/pulumi";
import { logRetentionFault } from "../api-log-group.ts";
import type { BatchStore } from "../batch-store.ts";
import { Faults } from "../faults.ts";
import { AUTOSCALER_TAGS } from "./autoscaler.ts";
import { checkNetwork, checkVpcFacts } from "./check-network.ts";
import { checkSystemNodes } from "./check-system-nodes.ts";
import { cidrText, isPrivate, parseCidr } from "./cidr.ts";
import {
  type ApiServer,
  CLUSTER_NAME_CHARACTERS_MAX,
  clusterNameOf,
  CONTROL_PLANE_LOGS,
  type ControlPlaneLog,
} from "./control-plane.ts";
import type { ExistingCluster } from "./existing-cluster.ts";
import type { ClusterNetwork } from "./network.ts";
import type { SystemNodes } from "./system-nodes.ts";

export interface BatchClusterArgs {
  /** Where the APIs of this cluster keep everything. */
  readonly store: BatchStore;
  /** Required, unless the cluster is an `existing` one. */
  readonly apiServer?: ApiServer;
  /** True: this program runs where it reaches a private API server: a runner in the VPC, a VPN. Default false. */
  readonly deployFromInsideVpc?: boolean;
  /** `1.33` to `1.36`; default `1.35`. Required for an `existing` cluster: write what it runs. A change upgrades the control plane, then nodes. */
  readonly kubernetesVersion?: string;
  /** Default: a VPC of its own, three zones, one NAT gateway. */
  readonly network?: ClusterNetwork;
  /** Default: two `t3.medium`. */
  readonly systemNodes?: SystemNodes;
  /** What the control plane writes to CloudWatch Logs (0.50 $/GB); default none. `audit` tells who did what. */
  readonly controlPlaneLogs?: readonly ControlPlaneLog[];
  /** How long these are kept, days: one of `LOG_RETENTION_DAYS`; default 30. */
  readonly controlPlaneLogRetentionDays?: number;
  /** ARNs of roles and users that administer Kubernetes, by names of your choice. Who creates the cluster does so anyway. */
  readonly admins?: Readonly<Record<string, Input<string>>>;
  /**
   * Credentials that the kubeconfig names, where the AWS provider uses a profile or a role that is not the environment's:
   * `aws eks get-token` must come as the one who made the cluster. Default: the environment's.
   */
  readonly deployer?: { readonly profileName: Input<string> } | { readonly roleArn: Input<string> };
  /** The Cluster Autoscaler's image where nodes cannot reach `registry.k8s.io`; it must be of the cluster's Kubernetes version. */
  readonly autoscalerImage?: string;
  /** True: AWS refuses to delete the cluster until this is false again. Default false. */
  readonly deletionProtection?: boolean;
  /** A cluster that is there already. What else is said of a cluster here is left out then. */
  readonly existing?: ExistingCluster;
  readonly tags?: Readonly<Record<string, Input<string>>>;
}

export const DEFAULT_KUBERNETES_VERSION = "1.35";

/** EKS's limit for ranges of the public endpoint. */
const CIDRS_MAX = 40;
/** Nobody's own network is wider. */
const NARROW_ENOUGH = 8;

/** What only a cluster that is made here has. */
const OF_CREATED = [
  ...(["apiServer", "deployFromInsideVpc", "network", "systemNodes", "controlPlaneLogs"] as const),
  ...(["controlPlaneLogRetentionDays", "admins", "deployer", "deletionProtection"] as const),
];

/** Throws with all that plain values tell. */
export function checkClusterArgs(name: string, args: BatchClusterArgs): void {
  const faults = new Faults(`BatchCluster "${name}"`);
  checkName(faults, name);
  checkVersion(faults, args);
  if (args.existing === undefined) checkCreated(faults, args);
  else checkExisting(faults, args, args.existing);
  faults.throwIfAny();
}

function checkName(faults: Faults, name: string): void {
  const inAws = clusterNameOf(name);
  if (inAws.length <= CLUSTER_NAME_CHARACTERS_MAX) return;
  const most = String(CLUSTER_NAME_CHARACTERS_MAX);
  faults.add(
    "name",
    `makes the cluster's name in AWS ${String(inAws.length)} characters long (${inAws}), and EKS takes ${most}; shorten it`,
  );
}

function checkVersion(faults: Faults, { kubernetesVersion, existing, autoscalerImage }: BatchClusterArgs): void {
  if (kubernetesVersion === undefined) {
    if (existing !== undefined)
      faults.add("kubernetesVersion", 'is missing; write what the existing cluster runs, such as "1.35"');
    return;
  }
  const known = Object.keys(AUTOSCALER_TAGS);
  if (known.includes(kubernetesVersion)) return;
  const found = JSON.stringify(kubernetesVersion);
  if (!/^1\.\d\d$/.test(kubernetesVersion)) {
    faults.add("kubernetesVersion", `is ${found}; write major and minor version alone, such as "1.35"`);
  } else if (autoscalerImage === undefined && existing?.autoscaler !== "installed") {
    faults.add(
      "kubernetesVersion",
      `is ${found}, for which no release of the Cluster Autoscaler is known here; write one of ${known.join(", ")}, or give its image as \`autoscalerImage\``,
    );
  }
}

function checkCreated(faults: Faults, args: BatchClusterArgs): void {
  checkApiServer(faults, args);
  checkNetwork(faults, args.network ?? { kind: "created" });
  checkSystemNodes(faults, args.systemNodes ?? {});
  for (const [at, log] of (args.controlPlaneLogs ?? []).entries()) {
    if (CONTROL_PLANE_LOGS.includes(log)) continue;
    faults.add(
      `controlPlaneLogs[${String(at)}]`,
      `is ${JSON.stringify(log)}; write one of ${CONTROL_PLANE_LOGS.join(", ")}`,
    );
  }
  if (args.controlPlaneLogRetentionDays !== undefined) {
    const fault = logRetentionFault(args.controlPlaneLogRetentionDays);
    if (fault !== undefined) faults.add("controlPlaneLogRetentionDays", fault);
  }
}

function checkApiServer(faults: Faults, { apiServer, deployFromInsideVpc = false }: BatchClusterArgs): void {
  if (apiServer === undefined) {
    faults.add(
      "apiServer",
      'is missing; write { kind: "public", cidrs: ["203.0.113.7/32"] } with the addresses that you deploy from',
    );
  } else if (apiServer.kind === "private") {
    if (deployFromInsideVpc) return;
    faults.add(
      "apiServer.kind",
      'is "private": only inside the VPC does that API server answer, and this program calls it to declare what runs there. Run it there and write deployFromInsideVpc: true, or write { kind: "public", cidrs: [...] }',
    );
  } else if ((apiServer.kind as string) !== "public") {
    faults.add("apiServer.kind", `is ${JSON.stringify(apiServer.kind)}; write "public" or "private"`);
  } else {
    checkPublicCidrs(faults, apiServer.cidrs, apiServer.openToTheInternet ?? false);
  }
}

function checkPublicCidrs(faults: Faults, cidrs: readonly string[], open: boolean): void {
  if (cidrs.length === 0 || cidrs.length > CIDRS_MAX) {
    const [count, most] = [String(cidrs.length), String(CIDRS_MAX)];
    faults.add(
      "apiServer.cidrs",
      `has ${count} ranges; write 1 to ${most}: the addresses that you deploy from, such as "203.0.113.7/32"`,
    );
  }
  for (const [at, cidr] of cidrs.entries()) {
    const fault = publicCidrFault(cidr, open);
    if (fault !== undefined) faults.add(`apiServer.cidrs[${String(at)}]`, `is ${JSON.stringify(cidr)}${fault}`);
  }
}

function publicCidrFault(text: string, open: boolean): string | undefined {
  const range = parseCidr(text);
  if (range === undefined)
    return ', which is no IPv4 range; write an address and how many of its bits count, such as "203.0.113.7/32"';
  if (cidrText(range) !== text)
    return `, which begins elsewhere; write "${cidrText(range)}" for the range, or /32 for the address`;
  if (isPrivate(range))
    return ", a private range, from which nobody comes to a public API server; write the address that your network has in the internet";
  if (range.prefix < NARROW_ENOUGH && !open) {
    return ", which is much of the internet; write the addresses that you deploy from, or openToTheInternet: true if it is meant";
  }
  return undefined;
}

function checkExisting(faults: Faults, args: BatchClusterArgs, existing: ExistingCluster): void {
  for (const field of OF_CREATED) {
    if (args[field] === undefined) continue;
    faults.add(field, "is for a cluster that is created here; leave it out beside `existing`");
  }
  if (args.autoscalerImage !== undefined && existing.autoscaler === "installed") {
    faults.add(
      "autoscalerImage",
      'is for an autoscaler that is declared here; leave it out, or write existing.autoscaler: "install"',
    );
  }
  checkVpcFacts(faults, "existing", { ...existing, cidr: existing.vpcCidr, cidrField: "vpcCidr" });
}
