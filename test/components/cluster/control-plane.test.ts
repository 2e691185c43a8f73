import { describe, expect, it } from "vitest";
import { aCluster } from "../support/a-cluster.ts";
import { render } from "../support/render.ts";

const CONTROL_PLANE = "eks:index:Cluster";
const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";

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
