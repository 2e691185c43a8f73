import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { PodRole } from "../../components/pod-role.ts";
import { consumeBatches, type Statement } from "../../components/statements.ts";
import { isAllowed, mayAssume, type PolicyDocument } from "./support/policy-simulator.ts";
import { render, UNKNOWN } from "./support/render.ts";

const ROLE = "aws:iam/role:Role";
const POLICY = "aws:iam/rolePolicy:RolePolicy";
const ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation";
const CLUSTER = {
  clusterName: pulumi.output("batch"),
  clusterArn: pulumi.output("arn:aws:eks:eu-west-1:123456789012:cluster/batch"),
};
const QUEUE = "arn:aws:sqs:eu-west-1:123456789012:lane-0";

function aRole(over: { readonly serviceAccount?: string; readonly statements?: readonly Statement[] } = {}) {
  const statements = consumeBatches(pulumi.output([QUEUE]));
  return new PodRole("photos-worker", {
    cluster: CLUSTER,
    namespace: "photos",
    serviceAccount: "worker",
    statements,
    ...over,
  });
}

describe("PodRole", () => {
  it("is a role with one policy, associated with the service account once it has that", async () => {
    const stack = await render(() => {
      const { roleArn, roleName } = aRole();
      return { roleArn, roleName };
    });

    expect(stack.outputs).toEqual({
      roleArn: "arn:aws:iam::123456789012:role/photos-worker-role-1234567",
      roleName: "photos-worker-role-1234567",
    });
    const association = stack.one(ASSOCIATION);
    expect(association.inputs).toEqual({
      ...{ clusterName: "batch", namespace: "photos", serviceAccount: "worker" },
      roleArn: stack.outputs["roleArn"],
      tags: { "millrace:component": "PodRole", "millrace:name": "photos-worker" },
    });
    expect(association.dependsOn).toContain(stack.one(POLICY).urn);
    const policy = JSON.parse(String(stack.one(POLICY).inputs["policy"])) as PolicyDocument;
    expect(await isAllowed(policy, { action: "sqs:ReceiveMessage", resource: QUEUE })).toBe(true);
    const component = stack.one("millrace:index:PodRole", "photos-worker");
    expect(
      stack
        .under(component)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["photos-worker-association", "photos-worker-policy", "photos-worker-role"]);
  });

  it("has no policy where nothing is allowed: IAM takes none without statements", async () => {
    const stack = await render(() => aRole({ statements: [] }));

    expect(stack.ofType(POLICY)).toEqual([]);
    expect(stack.ofType(ASSOCIATION)).toHaveLength(1);
  });

  it("is previewed where cluster and queues are not known", async () => {
    const stack = await render(() => aRole({ statements: consumeBatches([QUEUE]) }).roleArn, { preview: true });

    expect(stack.one(ASSOCIATION).inputs).toMatchObject({ roleArn: UNKNOWN, serviceAccount: "worker" });
  });

  it("refuses a name that is no service account's, and a policy that IAM would refuse", async () => {
    const statements = consumeBatches(
      Array.from({ length: 200 }, (_, lane) => `${QUEUE}-${String(lane)}-${"x".repeat(10)}`),
    );

    await expect(render(() => aRole({ serviceAccount: "Worker" }))).rejects.toThrow(
      'PodRole "photos-worker": serviceAccount is "Worker"; write the service account\'s name, of a-z, 0-9 and "-", at most 63 of them',
    );
    await expect(render(() => aRole({ statements }))).rejects.toThrow(
      /^PodRole "photos-worker": statements make a policy of 1\d,\d{3} characters and more, and IAM takes 10,240; allow less in it/,
    );
  });
});

describe("the trust of a PodRole", () => {
  const EKS = "pods.eks.amazonaws.com";
  const CONTEXT = {
    "aws:SourceAccount": "123456789012",
    "aws:SourceArn": "arn:aws:eks:eu-west-1:123456789012:cluster/batch",
    "aws:RequestTag/kubernetes-namespace": "photos",
    "aws:RequestTag/kubernetes-service-account": "worker",
  };

  async function trust(): Promise<PolicyDocument> {
    const stack = await render(() => aRole());
    return JSON.parse(String(stack.one(ROLE).inputs["assumeRolePolicy"])) as PolicyDocument;
  }

  it.each(["sts:AssumeRole", "sts:TagSession"])("lets EKS do %s for pods of its service account", async (action) => {
    expect(await mayAssume(await trust(), EKS, { action, context: CONTEXT })).toBe(true);
  });

  it.each([
    ["of another cluster", { "aws:SourceArn": "arn:aws:eks:eu-west-1:123456789012:cluster/batch2" }],
    ["of another account", { "aws:SourceAccount": "210987654321" }],
    ["of another namespace", { "aws:RequestTag/kubernetes-namespace": "letters" }],
    ["of another service account", { "aws:RequestTag/kubernetes-service-account": "service" }],
  ])("keeps out pods %s", async (_, other) => {
    expect(await mayAssume(await trust(), EKS, { action: "sts:AssumeRole", context: { ...CONTEXT, ...other } })).toBe(
      false,
    );
  });

  it("keeps out other services, and whoever tells nothing of a pod", async () => {
    expect(await mayAssume(await trust(), "ec2.amazonaws.com", { action: "sts:AssumeRole", context: CONTEXT })).toBe(
      false,
    );
    expect(await mayAssume(await trust(), EKS, { action: "sts:AssumeRole" })).toBe(false);
  });
});
