import { describe, expect, it } from "vitest";
import { BatchCluster } from "../../components/batch-cluster.ts";
import { BatchStore } from "../../components/batch-store.ts";
import { aCluster } from "./support/a-cluster.ts";
import { type DeclaredResource, render, type RenderedStack, UNKNOWN } from "./support/render.ts";

const CONTROL_PLANE = "eks:index:Cluster";
const ADD_ON = "aws:eks/addon:Addon";
const NODE_GROUP = "aws:eks/nodeGroup:NodeGroup";
const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";
const PROVIDER = "pulumi:providers:kubernetes";

/** What it depends on, and what that depends on. */
function before(stack: RenderedStack, resource: DeclaredResource, seen = new Set<string>()): ReadonlySet<string> {
  for (const urn of resource.dependsOn) {
    const found = stack.resources.find((each) => each.urn === urn);
    if (found === undefined || seen.has(found.name)) continue;
    seen.add(found.name);
    before(stack, found, seen);
  }
  return seen;
}

describe("BatchCluster's control plane", () => {
  it("is of an explicit version, in standard support, without a log, and left to be filled piece by piece", async () => {
    const stack = await render(() => void aCluster({ tags: { team: "vision" } }));

    expect(stack.one(CONTROL_PLANE).inputs).toMatchObject({
      name: "millrace-test-batch",
      version: "1.35",
      upgradePolicy: { supportType: "STANDARD" },
      authenticationMode: "API",
      enabledClusterLogTypes: [],
      deletionProtection: false,
      vpcId: "vpc-batch-vpc",
      privateSubnetIds: ["subnet-batch-private-0", "subnet-batch-private-1", "subnet-batch-private-2"],
      ...{ skipDefaultNodeGroup: true, skipDefaultSecurityGroups: true, createInstanceRole: false },
      ...{ bootstrapSelfManagedAddons: false, useDefaultVpcCni: true, createOidcProvider: false },
      corednsAddonOptions: { enabled: false },
      kubeProxyAddonOptions: { enabled: false },
      tags: { "millrace:component": "BatchCluster", "millrace:name": "batch", team: "vision" },
    });
    expect(stack.ofType(LOG_GROUP)).toEqual([]);
  });

  it("answers those ranges alone, and nodes from inside", async () => {
    const stack = await render(() => void aCluster({ apiServer: { kind: "public", cidrs: ["203.0.113.7/32"] } }));

    expect(stack.one(CONTROL_PLANE).inputs).toMatchObject({
      endpointPublicAccess: true,
      endpointPrivateAccess: true,
      publicAccessCidrs: ["203.0.113.7/32"],
    });
  });

  it("answers nobody outside of the VPC when it is private", async () => {
    const stack = await render(() => void aCluster({ apiServer: { kind: "private" }, deployFromInsideVpc: true }));

    const { inputs } = stack.one(CONTROL_PLANE);
    expect(inputs).toMatchObject({ endpointPublicAccess: false, endpointPrivateAccess: true });
    expect(inputs).not.toHaveProperty("publicAccessCidrs");
  });

  it("logs what is named to a group that is there before it, and forgets", async () => {
    const stack = await render(() => {
      aCluster({ controlPlaneLogs: ["audit", "api"] });
      aCluster({ controlPlaneLogs: ["audit"], controlPlaneLogRetentionDays: 7 }, "other");
    });

    expect(stack.one(CONTROL_PLANE, "batch-control-plane").inputs.enabledClusterLogTypes).toEqual(["audit", "api"]);
    const group = stack.one(LOG_GROUP, "batch-control-plane-logs");
    expect(group.inputs).toMatchObject({ name: "/aws/eks/millrace-test-batch/cluster", retentionInDays: 30 });
    expect(stack.one(CONTROL_PLANE, "batch-control-plane").dependsOn).toContain(group.urn);
    expect(stack.one(LOG_GROUP, "other-control-plane-logs").inputs.retentionInDays).toBe(7);
  });

  it("is administered by those who are named", async () => {
    const principalArn = "arn:aws:iam::123456789012:role/platform";

    const stack = await render(() => void aCluster({ admins: { platform: principalArn } }));

    expect(stack.one(CONTROL_PLANE).inputs.accessEntries).toMatchObject({
      platform: {
        principalArn,
        accessPolicies: {
          administration: {
            policyArn: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
            accessScope: { type: "cluster" },
          },
        },
      },
    });
  });

  it("hands the deployer's credentials to the kubeconfig, and refuses deletion, when told so", async () => {
    const stack = await render(() => {
      aCluster({ deployer: { profileName: "staging" }, deletionProtection: true });
      aCluster({ deployer: { roleArn: "arn:aws:iam::1:role/ci" } }, "other");
    });

    expect(stack.one(CONTROL_PLANE, "batch-control-plane").inputs).toMatchObject({
      providerCredentialOpts: { profileName: "staging" },
      deletionProtection: true,
    });
    expect(stack.one(CONTROL_PLANE, "other-control-plane").inputs).toMatchObject({
      providerCredentialOpts: { roleArn: "arn:aws:iam::1:role/ci" },
    });
  });

  it("has a name that AWS takes, whatever the stack's is", async () => {
    const stack = await render(() => void aCluster(), { project: "acme.batch", stack: "eu/prod" });

    expect(stack.one(CONTROL_PLANE).inputs.name).toBe("acme-batch-eu-prod-batch");
  });
});

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

    expect([...before(stack, stack.one(NODE_GROUP))]).toEqual(
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
    expect([...before(stack, stack.one(NODE_GROUP, "batch-system"))]).not.toContain("batch-coredns");
  });
});

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
    expect([...before(stack, provider)]).toEqual(expect.arrayContaining(["batch-system", "batch-coredns"]));
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

    const [one, two] = ["one", "two"].map((name) =>
      stack.under(stack.one("millrace:index:BatchCluster", name)).filter(({ custom }) => custom),
    );
    expect(one?.map(({ name }) => name.replace(/^one/, ""))).toEqual(two?.map(({ name }) => name.replace(/^two/, "")));
    const others = stack.under(stack.one("millrace:index:BatchStore")).length + 1;
    const components = stack.resources.filter(({ custom }) => !custom && true).length;
    expect((one?.length ?? 0) * 2 + others + components - 1).toBe(stack.resources.length);
    const untagged = [...(one ?? []), ...(two ?? [])].filter(
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
