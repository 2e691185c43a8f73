import { describe, expect, it } from "vitest";
import { BatchCluster } from "../../components/batch-cluster.ts";
import { BatchStore } from "../../components/batch-store.ts";
import { aCluster } from "./support/a-cluster.ts";
import { namesBefore } from "./support/names-before.ts";
import { render, type RenderedStack, UNKNOWN } from "./support/render.ts";

const CONTROL_PLANE = "eks:index:Cluster";
const PROVIDER = "pulumi:providers:kubernetes";

describe("BatchCluster", () => {
  it("tells others what they need of it", async () => {
    const stack = await render(() => {
      const cluster = aCluster();
      return {
        name: cluster.clusterName,
        arn: cluster.clusterArn,
        vpc: cluster.vpcId,
        nodes: cluster.nodeSubnetIds,
        internal: cluster.loadBalancerSubnetIds.internal,
        internetFacing: cluster.loadBalancerSubnetIds.internetFacing,
        securityGroup: cluster.nodeSecurityGroupId,
        role: cluster.nodeRoleArn,
        group: cluster.systemAutoScalingGroupName,
        plain: [cluster.vpcCidr, cluster.nodesHavePublicIps, cluster.kubernetesVersion, cluster.systemArchitecture],
        system: cluster.systemNodes,
      };
    });

    expect(stack.outputs).toEqual({
      name: "millrace-test-batch",
      arn: "arn:aws:eks:eu-west-1:123456789012:cluster/millrace-test-batch",
      vpc: "vpc-batch-vpc",
      nodes: ["subnet-batch-private-0", "subnet-batch-private-1", "subnet-batch-private-2"],
      internal: ["subnet-batch-private-0", "subnet-batch-private-1", "subnet-batch-private-2"],
      internetFacing: ["subnet-batch-public-0", "subnet-batch-public-1", "subnet-batch-public-2"],
      securityGroup: "sg-cluster",
      role: "arn:aws:iam::123456789012:role/batch-node-role-1234567",
      group: "eks-batch-system-1234567",
      plain: ["10.0.0.0/16", false, "1.35", "amd64"],
      system: {
        ...{ instanceType: "t3.medium", nodesMin: 2, nodesMax: 3, diskGiB: 20 },
        shape: {
          ...{ gpus: 0, gpuMemoryGiB: 0, vcpus: 2, memoryGiB: 4, architecture: "amd64" },
          allocatable: { cpuMillis: 1680, memoryMiB: 2946, pods: 12 },
        },
      },
    });
  });

  it("keeps the kubeconfig secret, and gives it to a provider that comes after nodes and names", async () => {
    const stack = await render(() => void aCluster());

    const provider = stack.one(PROVIDER);
    expect(provider.secrets).toContain("kubeconfig");
    expect(provider.inputs).toMatchObject({
      kubeconfig: expect.stringContaining("millrace-test-batch") as string,
      clusterIdentifier: "arn:aws:eks:eu-west-1:123456789012:cluster/millrace-test-batch",
    });
    expect([...namesBefore(stack, provider)]).toEqual(expect.arrayContaining(["batch-system", "batch-coredns"]));
  });

  it("is previewed without knowing anything of AWS", async () => {
    const known = await render(() => void aCluster({ controlPlaneLogs: ["audit"] }));
    const stack = await render(
      () => {
        const cluster = aCluster({ controlPlaneLogs: ["audit"] });
        return { arn: cluster.clusterArn, kubeconfig: cluster.kubeconfig, nodes: cluster.nodeSubnetIds };
      },
      { preview: true },
    );

    expect(stack.outputs).toEqual({ arn: UNKNOWN, kubeconfig: UNKNOWN, nodes: UNKNOWN });
    const names = (rendered: RenderedStack) => rendered.resources.map(({ type, name }) => `${type} ${name}`).toSorted();
    expect(names(stack)).toEqual(names(known));
    expect(stack.one(CONTROL_PLANE).inputs).toMatchObject({ name: "millrace-test-batch", vpcId: UNKNOWN });
  });

  it("stands beside another one, each with its own children, all of them tagged and under it", async () => {
    const stack = await render(() => {
      const store = new BatchStore("store");
      const apiServer = { kind: "public", cidrs: ["203.0.113.7/32"] } as const;
      new BatchCluster("one", { store, apiServer });
      new BatchCluster("two", { store, apiServer });
    });

    const [one = [], two = []] = ["one", "two"].map((name) =>
      stack.under(stack.one("millrace:index:BatchCluster", name)).filter(({ custom }) => custom),
    );
    expect(one.map(({ name }) => name.slice(3))).toEqual(two.map(({ name }) => name.slice(3)));
    const others = stack.under(stack.one("millrace:index:BatchStore")).map(({ name }) => name);
    const all = stack.resources.filter(({ custom }) => custom).map(({ name }) => name);
    expect(
      [...one, ...two]
        .map(({ name }) => name)
        .concat(others)
        .toSorted(),
    ).toEqual(all.toSorted());
    const untagged = [...one, ...two].filter(
      ({ type, inputs }) => type.startsWith("aws:") && inputs.tags === undefined,
    );
    expect([...new Set(untagged.map(({ type }) => type))].toSorted()).toEqual([
      "aws:ec2/route:Route",
      "aws:ec2/routeTableAssociation:RouteTableAssociation",
      "aws:iam/rolePolicy:RolePolicy",
      "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    ]);
  });

  it("opens no port of a node, and writes no security group", async () => {
    const stack = await render(() => void aCluster());

    const groups = stack.resources.filter(({ type }) => /securityGroup/i.test(type));
    expect(groups.map(({ name, inputs }) => [name, inputs.ingress, inputs.egress])).toEqual([
      ["batch-default-security-group", [], []],
    ]);
  });
});
