import { describe, expect, it } from "vitest";
import { GpuNodeGroup } from "../../components/gpu-node-group.ts";
import { aCluster, EXISTING } from "./support/a-cluster.ts";
import { render, type RenderedStack } from "./support/render.ts";

const given = { existing: EXISTING, kubernetesVersion: "1.34" } as const;

/** All that is declared but the store. */
const declared = (stack: RenderedStack) =>
  stack
    .under(stack.one("millrace:index:BatchCluster"))
    .filter(({ custom }) => custom)
    .map(({ name }) => name);

describe("a BatchCluster that is there already", () => {
  it("is used as it is: nothing is declared but the way to it", async () => {
    const stack = await render(() => {
      const cluster = aCluster(given);
      return {
        name: cluster.clusterName,
        arn: cluster.clusterArn,
        vpc: [cluster.vpcId, cluster.vpcCidr],
        nodes: cluster.nodeSubnetIds,
        balancers: cluster.loadBalancerSubnetIds.internal,
        given: [
          cluster.nodeSecurityGroupId,
          cluster.nodeRoleArn,
          cluster.kubernetesVersion,
          cluster.systemArchitecture,
        ],
        unknown: [cluster.systemAutoScalingGroupName, cluster.systemNodes, cluster.loadBalancerSubnetIds.internetFacing]
          .map(String)
          .join(),
      };
    });

    expect(declared(stack)).toEqual(["batch-kubernetes"]);
    expect(stack.outputs).toEqual({
      name: "acme",
      arn: EXISTING.clusterArn,
      vpc: ["vpc-acme", "10.8.0.0/16"],
      nodes: ["subnet-a", "subnet-b"],
      balancers: ["subnet-a", "subnet-b"],
      given: ["sg-acme", "arn:aws:iam::123456789012:role/acme-nodes", "1.34", "amd64"],
      unknown: "undefined,undefined,undefined",
    });
  });

  it("keeps its kubeconfig secret", async () => {
    const stack = await render(() => void aCluster(given));

    expect(stack.one("pulumi:providers:kubernetes").secrets).toEqual(["kubeconfig"]);
  });

  it("gets the agent when that is said to be missing, and nothing else", async () => {
    const stack = await render(
      () => void aCluster({ ...given, existing: { ...EXISTING, podIdentityAgent: "install" } }),
    );

    expect(declared(stack).toSorted()).toEqual(["batch-eks-pod-identity-agent", "batch-kubernetes"]);
    expect(stack.one("aws:eks/addon:Addon").inputs).toMatchObject({
      ...{ clusterName: "acme", addonName: "eks-pod-identity-agent" },
      addonVersion: "v1.0.0-eksbuild.1-for-1.34",
    });
  });

  it("gets the autoscaler of its version when that is said to be missing, and nothing else", async () => {
    const stack = await render(() => void aCluster({ ...given, existing: { ...EXISTING, autoscaler: "install" } }));

    expect(declared(stack).filter((name) => !name.startsWith("batch-autoscaler"))).toEqual(["batch-kubernetes"]);
    expect(JSON.stringify(stack.one("kubernetes:apps/v1:Deployment").inputs)).toContain("cluster-autoscaler:v1.34.4");
    const { policy } = stack.one("aws:iam/rolePolicy:RolePolicy").inputs;
    expect(policy).toContain('"aws:ResourceTag/k8s.io/cluster-autoscaler/acme":"owned"');
  });

  it("takes groups of worker nodes, with its role, security group and subnets", async () => {
    const stack = await render(() => {
      new GpuNodeGroup("gpus", { cluster: aCluster(given), instanceTypes: ["g6.xlarge"], nodesMax: 4 });
    });

    expect(stack.one("aws:eks/nodeGroup:NodeGroup").inputs).toMatchObject({
      ...{ clusterName: "acme", version: "1.34", nodeRoleArn: EXISTING.nodeRoleArn },
      subnetIds: ["subnet-a", "subnet-b"],
    });
    expect(stack.one("aws:ec2/launchTemplate:LaunchTemplate").inputs.vpcSecurityGroupIds).toEqual(["sg-acme"]);
  });

  it("tells load balancers where they and their targets are, when it is told", async () => {
    const internetFacing = [
      { id: "subnet-p", zone: "eu-west-1a" },
      { id: "subnet-q", zone: "eu-west-1b" },
    ];
    const more = { systemAutoScalingGroupName: "acme-services", systemArchitecture: "arm64" } as const;

    const stack = await render(() => {
      const cluster = aCluster({
        ...given,
        existing: { ...EXISTING, ...more, loadBalancerSubnets: { internetFacing } },
      });
      return {
        group: cluster.systemAutoScalingGroupName,
        architecture: cluster.systemArchitecture,
        facing: cluster.loadBalancerSubnetIds.internetFacing,
      };
    });

    expect(stack.outputs).toEqual({ group: "acme-services", architecture: "arm64", facing: ["subnet-p", "subnet-q"] });
  });
});
