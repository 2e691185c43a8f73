/** What pods of one service account may do on AWS. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { Faults } from "./faults.ts";
import { POLICY_CHARACTERS_MAX, policyCharacters, policyDocument } from "./policy-size.ts";
import type { Statement } from "./statements.ts";
import { ownTags, type Tags } from "./tags.ts";

export interface PodRoleArgs {
  /** A `BatchCluster`, or another EKS cluster with the Pod Identity agent. */
  readonly cluster: { readonly clusterName: pulumi.Input<string>; readonly clusterArn: pulumi.Input<string> };
  /** Kubernetes namespace of the pods. */
  readonly namespace: pulumi.Input<string>;
  /** Name of their service account, as it is in Kubernetes; it need not exist yet. */
  readonly serviceAccount: string;
  /** What they may do (`statements.ts`); none: they have an identity and no rights. */
  readonly statements: readonly Statement[];
  readonly tags?: Tags;
}

/**
 * A role for the pods of a service account, by EKS Pod Identity.
 *
 *     new PodRole("reports", {
 *       cluster, namespace: "reports", serviceAccount: "reports",
 *       statements: readDataset([{ bucket: "acme-photos", prefix: "2026/" }], partition),
 *     });
 *
 * Owns the role, its one policy, and the association. No pod of another service account, namespace or cluster may have the role,
 * whoever associates it. Pods must begin after it: make them depend on it. Rights that change later count at once, without a restart.
 *
 * @throws {pulumi.InputPropertyError} when the service account has no name of one, or the policy is longer than IAM takes
 */
export class PodRole extends pulumi.ComponentResource {
  readonly roleArn: pulumi.Output<string>;
  readonly roleName: pulumi.Output<string>;

  constructor(name: string, args: PodRoleArgs, opts?: pulumi.ComponentResourceOptions) {
    checkArgs(name, args);
    super("millrace:index:PodRole", name, {}, opts);
    const { cluster, namespace, serviceAccount, statements } = args;
    const tags = ownTags("PodRole", name, args.tags);
    const role = new aws.iam.Role(
      `${name}-role`,
      { assumeRolePolicy: trustOf(args), description: `Pods of service account ${serviceAccount}`, tags },
      { parent: this },
    );
    const rights =
      statements.length === 0
        ? []
        : [
            new aws.iam.RolePolicy(
              `${name}-policy`,
              { role: role.name, policy: pulumi.jsonStringify(policyDocument(statements)) },
              { parent: this },
            ),
          ];
    new aws.eks.PodIdentityAssociation(
      `${name}-association`,
      { clusterName: cluster.clusterName, namespace, serviceAccount, roleArn: role.arn, tags },
      { parent: this, dependsOn: rights },
    );
    this.roleArn = role.arn;
    this.roleName = role.name;
    this.registerOutputs({ roleArn: this.roleArn });
  }
}

/**
 * EKS tells the cluster as the source of its request, and as tags of the session whose pod asks ("Create IAM role with trust policy
 * required by EKS Pod Identity", EKS User Guide).
 */
function trustOf({ cluster, namespace, serviceAccount }: PodRoleArgs): pulumi.Output<string> {
  const account = pulumi.output(cluster.clusterArn).apply((arn) => arn.split(":")[4] ?? "");
  return pulumi.jsonStringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:SourceAccount": account,
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": serviceAccount,
          },
          ArnEquals: { "aws:SourceArn": cluster.clusterArn },
        },
      },
    ],
  });
}

function checkArgs(name: string, { serviceAccount, statements }: PodRoleArgs): void {
  const faults = new Faults(`PodRole "${name}"`);
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(serviceAccount)) {
    const found = JSON.stringify(serviceAccount);
    faults.add(
      "serviceAccount",
      `is ${found}; write the service account's name, of a-z, 0-9 and "-", at most 63 of them`,
    );
  }
  const characters = policyCharacters(statements, 0);
  if (characters > POLICY_CHARACTERS_MAX) {
    const [found, most] = [characters, POLICY_CHARACTERS_MAX].map((count) => count.toLocaleString("en"));
    faults.add(
      "statements",
      `make a policy of ${found ?? ""} characters and more, and IAM takes ${most ?? ""}; allow less in it, by fewer and shorter resources`,
    );
  }
  faults.throwIfAny();
}
