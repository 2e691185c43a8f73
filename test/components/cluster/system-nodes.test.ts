import { describe, expect, it } from "vitest";
import { aCluster } from "../support/a-cluster.ts";
import { namesBefore } from "../support/names-before.ts";
import { render } from "../support/render.ts";

const NODE_GROUP = "aws:eks/nodeGroup:NodeGroup";
const ADD_ON = "aws:eks/addon:Addon";

describe("BatchCluster's system nodes", () => {
  it("are two of amd64 in private subnets, without a taint", async () => {
    const stack = await render(() => void aCluster());

    const { inputs, ignoreChanges } = stack.one(NODE_GROUP, "batch-system");
    expect(inputs).toEqual({
      clusterName: "millrace-test-batch",
      version: "1.35",
      nodeRoleArn: "arn:aws:iam::123456789012:role/batch-node-role-1234567",
      subnetIds: ["subnet-batch-private-0", "subnet-batch-private-1", "subnet-batch-private-2"],
      ...{ amiType: "BOTTLEROCKET_x86_64", instanceTypes: ["t3.medium"], capacityType: "ON_DEMAND" },
      scalingConfig: { minSize: 2, desiredSize: 2, maxSize: 3 },
      labels: { "millrace/node-group": "system" },
      launchTemplate: { id: "lt-batch-system-template", version: "1" },
      nodeRepairConfig: { enabled: true },
      updateConfig: { maxUnavailable: 1 },
      tags: { "millrace:component": "BatchCluster", "millrace:name": "batch" },
    });
    expect(ignoreChanges).toEqual(["scalingConfig.desiredSize"]);
  });

  it("may be another type, and its image is of that architecture", async () => {
    const stack = await render(() => {
      const cluster = aCluster({ systemNodes: { instanceType: "t4g.small", nodesMin: 1, nodesMax: 1, diskGiB: 40 } });
      return { architecture: cluster.systemArchitecture, shape: cluster.systemNodes };
    });

    expect(stack.one(NODE_GROUP).inputs).toMatchObject({
      ...{ amiType: "BOTTLEROCKET_ARM_64", instanceTypes: ["t4g.small"] },
      scalingConfig: { minSize: 1, desiredSize: 1, maxSize: 1 },
    });
    expect(stack.outputs).toMatchObject({ architecture: "arm64", shape: { nodesMin: 1, nodesMax: 1, diskGiB: 40 } });
  });

  it("join with two policies, none of which makes network interfaces", async () => {
    const stack = await render(() => void aCluster());

    const attached = stack
      .ofType("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
      .filter(({ inputs }) => inputs.role === "batch-node-role-1234567");
    expect(attached.map(({ inputs }) => inputs.policyArn).toSorted()).toEqual([
      "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
      "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
    ]);
  });

  it("come after all that they need to become ready", async () => {
    const stack = await render(() => void aCluster());

    expect([...namesBefore(stack, stack.one(NODE_GROUP))]).toEqual(
      expect.arrayContaining([
        ...["batch-vpc-cni", "batch-kube-proxy", "batch-eks-pod-identity-agent"],
        ...["batch-network-association", "batch-network-rights", "batch-node-join", "batch-node-pull"],
        ...["batch-private-route", "batch-private-0-routes", "batch-s3", "batch-control-plane"],
      ]),
    );
  });
});

describe("BatchCluster's add-ons", () => {
  it("are EKS's own, of the version for this Kubernetes", async () => {
    const stack = await render(() => void aCluster({ kubernetesVersion: "1.34" }));

    const addOns = stack.ofType(ADD_ON).map(({ inputs }) => inputs);
    expect(addOns.map(({ addonName }) => addonName).toSorted()).toEqual(
      ["coredns", "eks-node-monitoring-agent", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"].toSorted(),
    );
    for (const addOn of addOns) {
      expect(addOn).toMatchObject({
        ...{ clusterName: "millrace-test-batch", addonVersion: "v1.0.0-eksbuild.1-for-1.34" },
        ...{ resolveConflictsOnCreate: "OVERWRITE", resolveConflictsOnUpdate: "OVERWRITE" },
      });
    }
  });

  it("enforce network policies, with the network plugin's own role", async () => {
    const stack = await render(() => void aCluster());

    expect(stack.one(ADD_ON, "batch-vpc-cni").inputs.configurationValues).toBe('{"enableNetworkPolicy":"true"}');
    const association = "aws:eks/podIdentityAssociation:PodIdentityAssociation";
    expect(stack.one(association, "batch-network-association").inputs).toMatchObject({
      ...{ namespace: "kube-system", serviceAccount: "aws-node" },
      roleArn: "arn:aws:iam::123456789012:role/batch-network-role-1234567",
    });
    const rights = stack.one("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "batch-network-rights");
    expect(rights.inputs).toEqual({
      role: "batch-network-role-1234567",
      policyArn: "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
    });
  });

  it("that need nodes come after these, and CoreDNS is one where there is one node", async () => {
    const stack = await render(() => {
      aCluster();
      aCluster({ systemNodes: { nodesMin: 1 } }, "lean");
    });

    const dns = stack.one(ADD_ON, "batch-coredns");
    expect(dns.dependsOn).toContain(stack.one(NODE_GROUP, "batch-system").urn);
    expect(dns.inputs).not.toHaveProperty("configurationValues");
    expect(stack.one(ADD_ON, "lean-coredns").inputs.configurationValues).toBe('{"replicaCount":1}');
    expect([...namesBefore(stack, stack.one(NODE_GROUP, "batch-system"))]).not.toContain("batch-coredns");
  });
});
