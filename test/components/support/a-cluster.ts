/** A cluster as tests need one. */
import { BatchCluster, type BatchClusterArgs } from "../../../components/batch-cluster.ts";
import { BatchStore } from "../../../components/batch-store.ts";

/** Default: the smallest program that makes one. Give `store` where a program has several. */
export function aCluster(args: Partial<BatchClusterArgs> = {}, name = "batch"): BatchCluster {
  const store = args.store ?? new BatchStore(`${name}-store`);
  const apiServer = { kind: "public", cidrs: ["203.0.113.7/32"] } as const;
  return new BatchCluster(name, { store, ...(args.existing === undefined && { apiServer }), ...args });
}

/** A cluster that is there already, with all that it needs. */
export const EXISTING = {
  clusterName: "acme",
  clusterArn: "arn:aws:eks:eu-west-1:123456789012:cluster/acme",
  kubeconfig: "{}",
  vpcId: "vpc-acme",
  vpcCidr: "10.8.0.0/16",
  nodeSubnets: [
    { id: "subnet-a", zone: "eu-west-1a" },
    { id: "subnet-b", zone: "eu-west-1b" },
  ],
  s3GatewayEndpointId: "vpce-acme",
  nodeSecurityGroupId: "sg-acme",
  nodeRoleArn: "arn:aws:iam::123456789012:role/acme-nodes",
  autoscaler: "installed",
  podIdentityAgent: "installed",
} as const;
