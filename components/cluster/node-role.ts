/** What nodes may do: join their cluster, pull images, hand out the roles of pods. Nothing else, and no pod gets it. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Tags } from "../tags.ts";

/** The network plugin's policy is not among them: its pods have a role of their own. */
const POLICIES = { join: "AmazonEKSWorkerNodePolicy", pull: "AmazonEC2ContainerRegistryPullOnly" } as const;

export function createNodeRole(
  name: string,
  tags: Tags,
  parent: pulumi.Resource,
): { readonly arn: pulumi.Output<string>; readonly rights: readonly pulumi.Resource[] } {
  const assumeRolePolicy = pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }],
  });
  const role = new aws.iam.Role(`${name}-role`, { assumeRolePolicy, description: "Nodes", tags }, { parent });
  const { partition } = aws.getPartitionOutput({}, { parent });
  const rights = Object.entries(POLICIES).map(([purpose, policy]) => {
    const policyArn = pulumi.interpolate`arn:${partition}:iam::aws:policy/${policy}`;
    return new aws.iam.RolePolicyAttachment(`${name}-${purpose}`, { role: role.name, policyArn }, { parent });
  });
  return { arn: role.arn, rights };
}
