import { beforeAll, describe, expect, it } from "vitest";
import { aCluster, EXISTING } from "../support/a-cluster.ts";
import { type Call, isAllowed, type PolicyDocument } from "../support/policy-simulator.ts";
import { render } from "../support/render.ts";

const GROUP =
  "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:0acc2a4f-1a2b-3c4d-5e6f-7a8b9c0d1e2f:autoScalingGroupName/eks-gpus-nodes-1";
const OWN = { "aws:ResourceTag/k8s.io/cluster-autoscaler/acme": "owned" };
const OTHERS = { "aws:ResourceTag/k8s.io/cluster-autoscaler/acme-2": "owned" };

let policy: PolicyDocument;

beforeAll(async () => {
  const existing = { ...EXISTING, autoscaler: "install" } as const;
  const stack = await render(() => aCluster({ existing, kubernetesVersion: "1.35" }));
  policy = JSON.parse(String(stack.one("aws:iam/rolePolicy:RolePolicy").inputs.policy)) as PolicyDocument;
});

describe("the autoscaler's rights on AWS", () => {
  it.each<Call>([
    { action: "autoscaling:SetDesiredCapacity", resource: GROUP, context: OWN },
    { action: "autoscaling:TerminateInstanceInAutoScalingGroup", resource: GROUP, context: OWN },
    { action: "eks:DescribeNodegroup", resource: "arn:aws:eks:eu-west-1:123456789012:nodegroup/acme/gpus/0a-1" },
    { action: "autoscaling:DescribeAutoScalingGroups", resource: "*" },
    { action: "autoscaling:DescribeScalingActivities", resource: "*" },
    { action: "autoscaling:DescribeTags", resource: "*" },
    { action: "ec2:DescribeInstanceTypes", resource: "*" },
    { action: "ec2:DescribeLaunchTemplateVersions", resource: "*" },
  ])("allow $action of this cluster", async (call) => {
    expect(await isAllowed(policy, call)).toBe(true);
  });

  it.each<Call>([
    { action: "autoscaling:SetDesiredCapacity", resource: GROUP, context: OTHERS },
    { action: "autoscaling:SetDesiredCapacity", resource: GROUP },
    { action: "autoscaling:TerminateInstanceInAutoScalingGroup", resource: GROUP, context: OTHERS },
    { action: "autoscaling:SetDesiredCapacity", resource: GROUP.replace("123456789012", "210987654321"), context: OWN },
    { action: "autoscaling:UpdateAutoScalingGroup", resource: GROUP, context: OWN },
    { action: "autoscaling:DeleteAutoScalingGroup", resource: GROUP, context: OWN },
    { action: "eks:DescribeNodegroup", resource: "arn:aws:eks:eu-west-1:123456789012:nodegroup/acme-2/gpus/0a-1" },
    { action: "eks:UpdateNodegroupConfig", resource: "arn:aws:eks:eu-west-1:123456789012:nodegroup/acme/gpus/0a-1" },
    { action: "eks:DescribeCluster", resource: EXISTING.clusterArn },
    { action: "ec2:TerminateInstances", resource: "arn:aws:ec2:eu-west-1:123456789012:instance/i-0a1b2c3d4e5f60718" },
    { action: "ec2:DescribeInstances", resource: "*" },
    { action: "iam:PassRole", resource: EXISTING.nodeRoleArn },
  ])("deny $action on $resource, tagged $context", async (call) => {
    expect(await isAllowed(policy, call)).toBe(false);
  });
});
