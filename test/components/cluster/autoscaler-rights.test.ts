/** The autoscaler's policy, simulated: what it does to its own cluster's groups, and what it may not do to others. */
import { expect, it } from "vitest";
import { aCluster } from "../support/a-cluster.ts";
import { isAllowed, type Call, type PolicyDocument } from "../support/policy-simulator.ts";
import { render } from "../support/render.ts";

const GROUP = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:0a:autoScalingGroupName/eks-gpus";
const SCALING = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"];
const ofGroup = (action: string, cluster: string): Call => {
  return { action, resource: GROUP, context: { [`aws:ResourceTag/k8s.io/cluster-autoscaler/${cluster}`]: "owned" } };
};
const nodeGroup = (cluster: string) => `arn:aws:eks:eu-west-1:123456789012:nodegroup/${cluster}/gpus/0a`;

async function renderedPolicy(): Promise<{ readonly policy: PolicyDocument; readonly cluster: string }> {
  const stack = await render(() => ({ cluster: aCluster().clusterName }));
  const { inputs } = stack.one("aws:iam/rolePolicy:RolePolicy", "batch-autoscaler-policy");
  return { policy: JSON.parse(String(inputs["policy"])) as PolicyDocument, cluster: String(stack.outputs["cluster"]) };
}

it("the autoscaler scales the groups of its own cluster alone, and knows their shapes", async () => {
  const { policy, cluster } = await renderedPolicy();
  const allowed: readonly Call[] = [
    ...SCALING.map((action) => ofGroup(action, cluster)),
    { action: "eks:DescribeNodegroup", resource: nodeGroup(cluster) },
    { action: "autoscaling:DescribeAutoScalingGroups", resource: "*" },
    { action: "ec2:DescribeInstanceTypes", resource: "*" },
  ];
  const denied: readonly Call[] = [
    ...SCALING.flatMap((action) => [ofGroup(action, `${cluster}2`), { action, resource: GROUP }]),
    { action: "eks:DescribeNodegroup", resource: nodeGroup(`${cluster}2`) },
    { action: "eks:DeleteNodegroup", resource: nodeGroup(cluster) },
    ...["autoscaling:DeleteAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup"].map((action) =>
      ofGroup(action, cluster),
    ),
    { action: "ec2:TerminateInstances", resource: "arn:aws:ec2:eu-west-1:123456789012:instance/i-0a" },
    { action: "iam:PassRole", resource: "arn:aws:iam::123456789012:role/admin" },
  ];

  const verdicts = (calls: readonly Call[]) => Promise.all(calls.map((call) => isAllowed(policy, call)));
  expect(await verdicts(allowed)).toEqual(allowed.map(() => true));
  expect(await verdicts(denied)).toEqual(denied.map(() => false));
});
