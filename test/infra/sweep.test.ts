/** Rules that hold for every resource of a whole stack, whichever component declares it. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { DeclaredResource, RenderedStack } from "../components/support/render.ts";
import { WHOLE_STACK_MS, wholeStack } from "./whole-stack.ts";

let stack: RenderedStack;

beforeAll(async () => {
  stack = await wholeStack();
}, WHOLE_STACK_MS);

/** AWS has no tags for these. */
const UNTAGGED = new Set([
  "aws:autoscaling/attachment:Attachment",
  "aws:autoscaling/tag:Tag",
  "aws:ec2/route:Route",
  "aws:ec2/routeTableAssociation:RouteTableAssociation",
  "aws:ecr/lifecyclePolicy:LifecyclePolicy",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  "aws:s3/bucketPolicy:BucketPolicy",
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "aws:sqs/queuePolicy:QueuePolicy",
  "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
]);

/** Names that are given, not drawn, and why. */
const NAMED: Readonly<Record<string, string>> = {
  "eks:index:Cluster name": "its log group, its access entries and the autoscaler's tags are named after it",
  "aws:cloudwatch/logGroup:LogGroup name":
    "EKS writes control-plane logs to /aws/eks/<cluster>/cluster and nowhere else",
  "aws:eks/nodeGroup:NodeGroup nodeGroupName": "the autoscaler knows a group's priority by its name alone",
  "aws:eks/nodeGroup:NodeGroup nodeGroupNamePrefix": "the autoscaler knows a group's priority by its name alone",
};

/** Statements that name no resource, and why. */
const WIDE: Readonly<Record<string, string>> = {
  "autoscaling:DescribeAutoScalingGroups": "AWS knows no resource for it",
  "autoscaling:DescribeAutoScalingInstances": "AWS knows no resource for it",
  "autoscaling:DescribeLaunchConfigurations": "AWS knows no resource for it",
  "autoscaling:DescribeScalingActivities": "AWS knows no resource for it",
  "autoscaling:DescribeTags": "AWS knows no resource for it",
  "ec2:DescribeImages": "AWS knows no resource for it",
  "ec2:DescribeInstanceTypes": "AWS knows no resource for it",
  "ec2:DescribeLaunchTemplateVersions": "AWS knows no resource for it",
  "ec2:GetInstanceTypesFromInstanceRequirements": "AWS knows no resource for it",
};

/** Components whose children are declared in another process: what is in them is not seen here. */
const NOT_SEEN = ["eks:index:Cluster"];

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource?: string | readonly string[];
}

function ours(prefix: string): readonly DeclaredResource[] {
  return stack.resources.filter(({ type, custom }) => custom && type.startsWith(prefix));
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

function statementsOf({ inputs }: DeclaredResource): readonly Statement[] {
  const document = inputs.policy ?? inputs.assumeRolePolicy;
  return typeof document === "string"
    ? ((JSON.parse(document) as { Statement?: readonly Statement[] }).Statement ?? [])
    : [];
}

describe("a whole stack", () => {
  it("has every resource in a component", () => {
    const loose = stack.resources.filter(
      ({ type, parent }) => !type.startsWith("millrace:index:") && parent.split("::")[2] === "pulumi:pulumi:Stack",
    );

    expect(loose.map(({ urn }) => urn)).toEqual([]);
    const remote = stack.resources.filter(({ custom, type }) => !custom && !type.startsWith("millrace:index:"));
    expect([...new Set(remote.map(({ type }) => type))]).toEqual(NOT_SEEN);
  });

  it("has the resources that it had", async () => {
    const urns = stack.resources.map(({ urn }) => urn.replace("urn:pulumi:test::millrace::", "")).sort();

    await expect(`${urns.join("\n")}\n`).toMatchFileSnapshot(join(import.meta.dirname, "golden/urns.txt"));
  });

  it("tags all that AWS has tags for with the component that it is of", () => {
    const untagged = ours("aws:").filter(
      ({ type, inputs }) => !UNTAGGED.has(type) && !Object.hasOwn(inputs.tags ?? {}, "millrace:component"),
    );

    expect(untagged.map(({ urn }) => urn)).toEqual([]);
  });

  it("encrypts what is stored", () => {
    const buckets = stack.ofType("aws:s3/bucket:Bucket").map(({ inputs, name }) => inputs.bucket ?? `${name}-1234567`);
    const encrypted = stack.ofType(
      "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    );
    expect(encrypted.map(({ inputs }) => inputs.bucket).sort()).toEqual(buckets.sort());
    for (const { inputs } of stack.ofType("aws:sqs/queue:Queue")) {
      expect(inputs.sqsManagedSseEnabled === true || typeof inputs.kmsMasterKeyId === "string").toBe(true);
    }
    for (const { inputs } of stack.ofType("aws:ec2/launchTemplate:LaunchTemplate")) {
      const disks = inputs.blockDeviceMappings as readonly { ebs: { encrypted: unknown } }[];
      expect(disks.length).toBeGreaterThan(0);
      for (const { ebs } of disks) expect(String(ebs.encrypted)).toBe("true");
    }
    for (const { inputs } of stack.ofType("aws:ecr/repository:Repository")) {
      expect(inputs.encryptionConfigurations).toMatchObject([{ encryptionType: expect.any(String) as string }]);
    }
  });

  it("lets the public at nothing that it was not told to", () => {
    const blocks = stack.ofType("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock");
    expect(blocks).toHaveLength(stack.ofType("aws:s3/bucket:Bucket").length);
    for (const { inputs } of stack.ofType("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")) {
      expect([inputs.cidrIpv4, inputs.cidrIpv6]).not.toEqual(expect.arrayContaining(["0.0.0.0/0"]));
      expect([inputs.cidrIpv4, inputs.cidrIpv6]).not.toEqual(expect.arrayContaining(["::/0"]));
    }
    for (const { inputs } of stack.ofType("eks:index:Cluster")) {
      expect(inputs.publicAccessCidrs).toEqual(["203.0.113.7/32"]);
      expect(inputs.endpointPrivateAccess).toBe(true);
    }
    for (const { inputs } of stack.ofType("aws:ec2/launchTemplate:LaunchTemplate")) {
      expect(inputs.metadataOptions).toMatchObject({ httpTokens: "required", httpPutResponseHopLimit: 1 });
    }
  });

  it("keeps no log for ever", () => {
    const groups = stack.ofType("aws:cloudwatch/logGroup:LogGroup");
    expect(groups.length).toBeGreaterThan(0);
    for (const { inputs } of groups) expect(inputs.retentionInDays).toBeGreaterThan(0);
  });

  it("allows nothing on everything but what is on a list with its reason", () => {
    const allowed = ours("aws:").flatMap((resource) =>
      statementsOf(resource)
        .filter(({ Effect }) => Effect === "Allow")
        .map((statement) => ({
          urn: resource.urn,
          actions: list(statement.Action),
          resources: list(statement.Resource),
        })),
    );
    expect(allowed.length).toBeGreaterThan(10);

    const wideActions = allowed.filter(({ actions }) => actions.some((action) => action.includes("*")));
    expect(wideActions).toEqual([]);
    const onEverything = allowed.filter(({ resources }) => resources.some((each) => /^\*$|:::\*$/.test(each)));
    const unreasoned = onEverything.flatMap(({ actions }) => actions.filter((action) => !Object.hasOwn(WIDE, action)));
    expect(unreasoned).toEqual([]);
  });

  it("gives names only where there is a reason for it", () => {
    const physical = ["name", "namePrefix", "bucket", "nodeGroupName", "nodeGroupNamePrefix"];
    const named = stack.resources
      .filter(({ type }) => type.startsWith("aws:") || type.startsWith("eks:"))
      .flatMap(({ type, inputs }) => physical.filter((key) => key in inputs).map((key) => `${type} ${key}`))
      .filter((each) => !/^aws:s3\/bucket\w+:\w+ bucket$/.test(each)); // that is the bucket they belong to
    const unreasoned = [...new Set(named)].filter((each) => !Object.hasOwn(NAMED, each));

    expect(unreasoned).toEqual([]);
  });

  it("runs no container as root, with a writable root, or without a request", () => {
    const workloads = ["kubernetes:apps/v1:Deployment", "kubernetes:core/v1:PodTemplate"].flatMap((type) =>
      stack.ofType(type),
    );
    const pods = workloads.map(({ name, inputs }) => ({ name, spec: podSpecOf(inputs) }));
    expect(pods.length).toBeGreaterThanOrEqual(7);

    for (const { name, spec } of pods) {
      expect(spec.securityContext, name).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
      for (const { securityContext } of spec.containers) {
        const locked = {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        };
        expect(securityContext, name).toMatchObject(locked);
      }
    }
    for (const { name, spec } of pods.filter((pod) => !pod.name.endsWith("-workers"))) {
      for (const { resources } of spec.containers) {
        const bound = { requests: { cpu: expect.any(String) as string, memory: expect.any(String) as string } };
        expect(resources, name).toMatchObject(bound);
        expect(resources.limits, name).not.toHaveProperty("cpu");
      }
    }
  });

  it("keeps every secret a secret", () => {
    for (const { name, secrets } of stack.ofType("kubernetes:core/v1:Secret")) {
      expect(secrets, name).toEqual(["stringData"]);
    }
    for (const { secrets } of stack.ofType("pulumi:providers:kubernetes")) expect(secrets).toEqual(["kubeconfig"]);
    const plain = stack.resources.filter(({ secrets }) => secrets.length === 0);
    expect(JSON.stringify(plain.map(({ inputs }) => inputs))).not.toMatch(/very secret|registry-password/);
  });
});

interface PodSpec {
  readonly securityContext: unknown;
  readonly containers: readonly {
    readonly securityContext: unknown;
    readonly resources: { readonly limits?: unknown };
  }[];
}

function podSpecOf(inputs: DeclaredResource["inputs"]): PodSpec {
  const { spec, template } = inputs as { spec?: { template: { spec: PodSpec } }; template?: { spec: PodSpec } };
  const pod = spec?.template.spec ?? template?.spec;
  if (pod === undefined) throw new Error("no pod in it");
  return pod;
}
