/** What of a rendered stack costs money while nothing runs, and how much. A resource type that this does not know is an error. */
import type { DeclaredResource, RenderedStack } from "../support/render.ts";

export interface Prices {
  readonly date: string;
  readonly region: string;
  readonly source: string;
  readonly hoursAMonth: number;
  /** Dollars an hour, by what is paid for. */
  readonly anHour: Readonly<Record<string, number>>;
  /** Dollars a month, by what is paid for. */
  readonly aMonth: Readonly<Record<string, number>>;
}

/** Something that is paid for by the hour or the month, whatever happens. */
export interface AlwaysOn {
  /** As in the prices. */
  readonly what: string;
  readonly count: number;
}

export interface CostLine extends AlwaysOn {
  readonly eachDollars: number;
  readonly dollars: number;
}

/** Bottlerocket's own disk has the size of its image, which no component says. */
const SYSTEM_DISK_GIB = 4;

interface Variable {
  readonly name: string;
  readonly value: string;
}

type Rule = (resource: DeclaredResource, stack: RenderedStack) => readonly AlwaysOn[];

const one = (what: string) => (): readonly AlwaysOn[] => [{ what, count: 1 }];

const ALWAYS_ON: Readonly<Record<string, Rule>> = {
  "eks:index:Cluster": controlPlane,
  "aws:eks/nodeGroup:NodeGroup": nodes,
  "aws:ec2/natGateway:NatGateway": one("NAT gateway"),
  "aws:ec2/eip:Eip": one("public IPv4 address"),
  "aws:ec2/vpcEndpoint:VpcEndpoint": endpoint,
  "aws:lb/loadBalancer:LoadBalancer": loadBalancer,
  "aws:cloudwatch/metricAlarm:MetricAlarm": one("alarm"),
  "aws:kms/key:Key": one("KMS key"),
  "kubernetes:apps/v1:Deployment": idleRequests,
};

/** Paid for by what is kept, sent or asked: nothing while nothing happens, but for what is kept. */
export const BY_USE: Readonly<Record<string, string>> = {
  "aws:s3/bucket:Bucket": "S3: 0.023 $/GB kept a month, and requests; those of an idle service are in the tables",
  "aws:sqs/queue:Queue": "SQS: 0.40 $ per million requests; those of an idle service are in the tables",
  "aws:cloudwatch/logGroup:LogGroup": "CloudWatch Logs: 0.50 $/GB written, 0.03 $/GB kept a month",
  "aws:ecr/repository:Repository": "ECR: 0.10 $/GB of images a month",
};

/** Never paid for. */
const FREE: ReadonlySet<string> = new Set([
  "aws:autoscaling/attachment:Attachment",
  "aws:autoscaling/tag:Tag",
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
  "aws:ec2/internetGateway:InternetGateway",
  "aws:ec2/launchTemplate:LaunchTemplate",
  "aws:ec2/route:Route",
  "aws:ec2/routeTable:RouteTable",
  "aws:ec2/routeTableAssociation:RouteTableAssociation",
  "aws:ec2/securityGroup:SecurityGroup",
  "aws:ec2/subnet:Subnet",
  "aws:ec2/vpc:Vpc",
  "aws:ecr/lifecyclePolicy:LifecyclePolicy",
  "aws:eks/addon:Addon",
  "aws:eks/podIdentityAssociation:PodIdentityAssociation",
  "aws:iam/role:Role",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  "aws:lb/listener:Listener",
  "aws:lb/targetGroup:TargetGroup",
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  "aws:s3/bucketObjectv2:BucketObjectv2", // kept in the bucket, and paid for there
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  "aws:s3/bucketPolicy:BucketPolicy",
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "aws:sqs/queuePolicy:QueuePolicy",
  "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
  "aws:sqs/redrivePolicy:RedrivePolicy",
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
]);

/** Components of ours, Kubernetes objects (nodes are paid for), providers, and builds on the deployer's machine. */
const NOT_OF_AWS = /^(millrace:index:|kubernetes:|pulumi:providers:|docker-build:)/;

/** What a stack costs a month while nothing runs, line by line, dearest first. Throws for what has no price. */
export function idleCost(stack: RenderedStack, prices: Prices): readonly CostLine[] {
  const counts = new Map<string, number>();
  for (const resource of stack.resources) {
    for (const { what, count } of alwaysOn(resource, stack)) counts.set(what, (counts.get(what) ?? 0) + count);
  }
  const lines = [...counts].map(([what, count]) => {
    const eachDollars = priceOf(what, prices);
    return { what, count, eachDollars, dollars: count * eachDollars };
  });
  return lines.filter(({ count }) => count > 0).toSorted((a, b) => b.dollars - a.dollars);
}

/** What is paid for by use, of the types that a stack has. */
export function paidByUse(stack: RenderedStack): readonly string[] {
  return Object.entries(BY_USE).flatMap(([type, how]) => (stack.ofType(type).length > 0 ? [how] : []));
}

function alwaysOn(resource: DeclaredResource, stack: RenderedStack): readonly AlwaysOn[] {
  const { type, name } = resource;
  const rule = ALWAYS_ON[type];
  if (rule !== undefined) return rule(resource, stack);
  if (BY_USE[type] !== undefined || FREE.has(type) || NOT_OF_AWS.test(type)) return [];
  throw new Error(
    `${type} (${name}) has no price: say in always-on.ts whether it costs by the hour, by use or nothing`,
  );
}

function priceOf(what: string, { anHour, aMonth, hoursAMonth, source }: Prices): number {
  const hourly = anHour[what];
  const monthly = hourly === undefined ? aMonth[what] : hourly * hoursAMonth;
  if (monthly === undefined) throw new Error(`${what} has no price in prices.json (${source}); add one`);
  return monthly;
}

function controlPlane({ inputs, name }: DeclaredResource): readonly AlwaysOn[] {
  const { supportType } = inputs.upgradePolicy as { readonly supportType: string };
  if (supportType !== "STANDARD") throw new Error(`${name} costs six times as much in ${supportType} support`);
  return [{ what: "EKS control plane", count: 1 }];
}

/** As many nodes as are always there, with their disks, and public addresses where their subnets give them. */
function nodes({ inputs }: DeclaredResource, stack: RenderedStack): readonly AlwaysOn[] {
  const { minSize } = inputs.scalingConfig as { readonly minSize: number };
  const [instanceType = ""] = inputs.instanceTypes as readonly string[];
  if (minSize === 0) return [];
  const publicSubnets = stack
    .ofType("aws:ec2/subnet:Subnet")
    .filter((subnet) => subnet.inputs.mapPublicIpOnLaunch === true)
    .map(({ name }) => `subnet-${name}`);
  const isPublic = (inputs.subnetIds as readonly string[]).some((id) => publicSubnets.includes(id));
  return [
    { what: instanceType, count: minSize },
    { what: "gp3 disk, per GiB", count: minSize * diskGiB(inputs.launchTemplate as { readonly id: string }, stack) },
    { what: "public IPv4 address", count: isPublic ? minSize : 0 },
  ];
}

function diskGiB({ id }: { readonly id: string }, stack: RenderedStack): number {
  const template = stack.one("aws:ec2/launchTemplate:LaunchTemplate", id.replace(/^lt-/, ""));
  const disks = template.inputs.blockDeviceMappings as readonly { readonly ebs: { readonly volumeSize?: number } }[];
  return disks.reduce((sum, { ebs }) => sum + (ebs.volumeSize ?? SYSTEM_DISK_GIB), 0);
}

/** A submission service looks for jobs and asks after its lanes while there is no job: measured, see docs/scale.md. */
function idleRequests({ inputs }: DeclaredResource): readonly AlwaysOn[] {
  const { replicas, template } = inputs.spec as {
    readonly replicas: number;
    readonly template: { readonly spec: { readonly containers: readonly { readonly env?: readonly Variable[] }[] } };
  };
  const variables = template.spec.containers.flatMap(({ env = [] }) => env);
  const lanes = variables.find(({ name }) => name === "MILLRACE_LANES")?.value.split(",").length ?? 0;
  return [
    { what: "requests of an idle service's replica", count: lanes === 0 ? 0 : replicas },
    { what: "health requests to a lane, per replica", count: lanes * replicas },
  ];
}

function endpoint({ inputs }: DeclaredResource): readonly AlwaysOn[] {
  if (inputs.vpcEndpointType === "Gateway") return [];
  return [{ what: "interface endpoint, per zone", count: (inputs.subnetIds as readonly unknown[]).length }];
}

function loadBalancer({ inputs }: DeclaredResource): readonly AlwaysOn[] {
  const zones = (inputs.subnets as readonly unknown[]).length;
  return [
    { what: "application load balancer", count: 1 },
    { what: "public IPv4 address", count: inputs.internal === true ? 0 : zones },
  ];
}
