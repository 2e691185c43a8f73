/** A cluster that is there already. */
import type { Input } from "@pulumi/pulumi";
import type { Architecture } from "../instance-shape.ts";
import type { LoadBalancerSubnets, ZoneSubnet } from "./network.ts";

/** "installed": it runs there, and nothing is declared. "install": it is declared here. */
export type Installation = "installed" | "install";

/**
 * An EKS cluster of yours, with access entries (authentication mode `API` or `API_AND_CONFIG_MAP`), a network plugin that enforces
 * network policies, and nodes without a taint for the submission services. Only what is said to be missing is declared in it.
 */
export interface ExistingCluster {
  readonly clusterName: Input<string>;
  readonly clusterArn: Input<string>;
  /** A kubeconfig of an administrator; kept as a secret. */
  readonly kubeconfig: Input<string>;
  readonly vpcId: Input<string>;
  /** The VPC's IPv4 range. */
  readonly vpcCidr: string;
  /** Where worker nodes go. */
  readonly nodeSubnets: readonly ZoneSubnet[];
  /** True: all of `nodeSubnets` are in one zone, and workers may wait for as long as that one has no GPU. */
  readonly oneZone?: true;
  /** Default: internal ones to `nodeSubnets`, and none that faces the internet. */
  readonly loadBalancerSubnets?: LoadBalancerSubnets;
  /** The VPC's S3 gateway endpoint. Without one, each byte that workers read pays for NAT. */
  readonly s3GatewayEndpointId?: Input<string>;
  /** True: there is none, and S3 is reached in another way that you have paid for. */
  readonly withoutS3GatewayEndpoint?: true;
  /** Of the nodes: the cluster's own security group, unless you gave them another. */
  readonly nodeSecurityGroupId: Input<string>;
  /** Role of worker nodes: it pulls images and has an access entry of type `EC2_LINUX` (managed node groups make it). */
  readonly nodeRoleArn: Input<string>;
  /** Auto Scaling group of the nodes that services run on: a load balancer sends to it. */
  readonly systemAutoScalingGroupName?: Input<string>;
  /** Of the nodes that services run on; default `amd64`. */
  readonly systemArchitecture?: Architecture;
  /** The Cluster Autoscaler, finding groups by the tags that EKS gives them. */
  readonly autoscaler: Installation;
  /** EKS's Pod Identity agent: the add-on `eks-pod-identity-agent`. */
  readonly podIdentityAgent: Installation;
}
