/**
 * What the recording provider must know of a type of resource beside its outputs: which inputs replace it, and which outputs
 * an update changes. Written down from the sources of the Terraform provider for AWS (`ForceNew`) and of Pulumi's provider
 * for Kubernetes (`diff.go`); a type that is missing here is refused, so that nobody forgets to ask.
 */
import { createHash } from "node:crypto";
import { textAt, valueAt, type Properties } from "./pulumi-values.ts";

export interface ResourceFacts {
  /** Paths of inputs of which a change replaces the resource, with all that lies beneath them. */
  readonly replacedBy: readonly string[];
  /** The input that gets a name of Pulumi's own when the program gives none. */
  readonly autoName?: string;
  /** Outputs that change with each update, so that its preview does not know them. */
  readonly changed?: (inputs: Properties, before: Properties) => Properties;
}

const named = (...replacedBy: readonly string[]): ResourceFacts => ({
  autoName: "name",
  replacedBy: ["name", "namePrefix", ...replacedBy],
});
const replacedBy = (...paths: readonly string[]): ResourceFacts => ({ replacedBy: paths });
const ofBucket = replacedBy("bucket", "expectedBucketOwner");

const AWS: Readonly<Record<string, ResourceFacts>> = {
  "autoscaling/attachment:Attachment": replacedBy("autoscalingGroupName", "lbTargetGroupArn", "elb"),
  "autoscaling/tag:Tag": replacedBy("autoscalingGroupName", "tag.key"),
  "cloudwatch/logGroup:LogGroup": named("logGroupClass"),
  "cloudwatch/metricAlarm:MetricAlarm": named(),
  "ec2/defaultSecurityGroup:DefaultSecurityGroup": replacedBy("vpcId"),
  "ec2/eip:Eip": replacedBy("address", "domain", "networkBorderGroup", "publicIpv4Pool"),
  "ec2/internetGateway:InternetGateway": replacedBy(),
  "ec2/launchTemplate:LaunchTemplate": {
    ...named(),
    changed: (_inputs, { latestVersion }) => ({ latestVersion: Number(latestVersion) + 1 }),
  },
  "ec2/natGateway:NatGateway": replacedBy("allocationId", "connectivityType", "privateIp", "subnetId"),
  "ec2/route:Route": replacedBy("destinationCidrBlock", "destinationPrefixListId", "routeTableId"),
  "ec2/routeTable:RouteTable": replacedBy("vpcId"),
  "ec2/routeTableAssociation:RouteTableAssociation": replacedBy("gatewayId", "subnetId"),
  "ec2/securityGroup:SecurityGroup": named("description", "vpcId"),
  "ec2/securityGroupRule:SecurityGroupRule": replacedBy(
    ...["cidrBlocks", "fromPort", "protocol", "securityGroupId", "self", "sourceSecurityGroupId", "toPort", "type"],
  ),
  "ec2/subnet:Subnet": replacedBy("availabilityZone", "availabilityZoneId", "cidrBlock", "outpostArn", "vpcId"),
  "ec2/vpc:Vpc": replacedBy("cidrBlock", "ipv4IpamPoolId"),
  "ec2/vpcEndpoint:VpcEndpoint": replacedBy("serviceName", "serviceRegion", "vpcEndpointType", "vpcId"),
  "ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation": replacedBy("routeTableId", "vpcEndpointId"),
  "ecr/lifecyclePolicy:LifecyclePolicy": replacedBy("policy", "repository"),
  "ecr/pullThroughCacheRule:PullThroughCacheRule": replacedBy("ecrRepositoryPrefix", "upstreamRegistryUrl"),
  "ecr/repository:Repository": { autoName: "name", replacedBy: ["encryptionConfigurations", "name"] },
  "ecr/repositoryPolicy:RepositoryPolicy": replacedBy("repository"),
  "eks/accessEntry:AccessEntry": replacedBy("clusterName", "principalArn", "type"),
  "eks/accessPolicyAssociation:AccessPolicyAssociation": replacedBy(
    ...["accessScope", "clusterName", "policyArn", "principalArn"],
  ),
  "eks/addon:Addon": replacedBy("addonName", "clusterName", "namespaceConfig"),
  "eks/cluster:Cluster": named(
    ...["accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons", "remoteNetworkConfig"],
    ...["kubernetesNetworkConfig.ipFamily", "kubernetesNetworkConfig.serviceIpv4Cidr", "roleArn"],
  ),
  "eks/nodeGroup:NodeGroup": {
    autoName: "nodeGroupName",
    replacedBy: [
      ...["amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "launchTemplate.id"],
      ...["launchTemplate.name", "nodeGroupName", "nodeGroupNamePrefix", "nodeRoleArn", "remoteAccess", "subnetIds"],
    ],
  },
  "eks/podIdentityAssociation:PodIdentityAssociation": replacedBy("clusterName", "namespace", "serviceAccount"),
  "iam/instanceProfile:InstanceProfile": named("path"),
  "iam/openIdConnectProvider:OpenIdConnectProvider": replacedBy("url"),
  "iam/policy:Policy": named("description", "path"),
  "iam/role:Role": named("path"),
  "iam/rolePolicy:RolePolicy": named("role"),
  "iam/rolePolicyAttachment:RolePolicyAttachment": replacedBy("policyArn", "role"),
  "kms/alias:Alias": named(),
  "kms/key:Key": replacedBy("customerMasterKeySpec", "keyUsage", "multiRegion"),
  "lb/listener:Listener": replacedBy("loadBalancerArn"),
  "lb/listenerRule:ListenerRule": replacedBy("listenerArn"),
  "lb/loadBalancer:LoadBalancer": named("internal", "loadBalancerType"),
  "lb/targetGroup:TargetGroup": named("ipAddressType", "port", "protocol", "protocolVersion", "targetType", "vpcId"),
  "s3/bucket:Bucket": { autoName: "bucket", replacedBy: ["bucket", "bucketPrefix", "objectLockEnabled"] },
  "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ofBucket,
  "s3/bucketObjectv2:BucketObjectv2": replacedBy("bucket", "key"),
  "s3/bucketOwnershipControls:BucketOwnershipControls": ofBucket,
  "s3/bucketPolicy:BucketPolicy": ofBucket,
  "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ofBucket,
  "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ofBucket,
  "s3/bucketVersioning:BucketVersioning": ofBucket,
  "sns/topic:Topic": named("fifoTopic"),
  "sqs/queue:Queue": named("fifoQueue"),
  "sqs/queuePolicy:QueuePolicy": replacedBy("queueUrl"),
  "sqs/redriveAllowPolicy:RedriveAllowPolicy": replacedBy("queueUrl"),
  "sqs/redrivePolicy:RedrivePolicy": replacedBy("queueUrl"),
  "ssm/parameter:Parameter": named(),
  "vpc/securityGroupEgressRule:SecurityGroupEgressRule": replacedBy("securityGroupId"),
  "vpc/securityGroupIngressRule:SecurityGroupIngressRule": replacedBy("securityGroupId"),
};

/** By kind; each one's own name and namespace replace it as well. */
const KUBERNETES: Readonly<Record<string, readonly string[]>> = {
  ClusterRoleBinding: ["roleRef"],
  ConfigMap: ["binaryData", "data"],
  Deployment: ["spec.selector"],
  Job: ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
  ResourceQuota: ["spec.scopes"],
  RoleBinding: ["roleRef"],
  Secret: ["data", "stringData", "type"],
  Service: ["spec.clusterIP"],
  StorageClass: ["parameters", "provisioner"],
};

const IMAGE: ResourceFacts = {
  replacedBy: [],
  // what a builder makes of other inputs has another digest
  changed: (inputs) => {
    const digest = `sha256:${createHash("sha256").update(JSON.stringify(inputs)).digest("hex")}`;
    const tag = Array.isArray(valueAt(inputs, "tags")) ? (valueAt(inputs, "tags") as readonly string[])[0] : undefined;
    return { digest, ref: `${(tag ?? "image").replace(/:[^:/]*$/, "")}@${digest}`, contextHash: digest.slice(7, 19) };
  },
};

/** Undefined for a type that nobody has looked up yet. */
export function factsOf(type: string): ResourceFacts | undefined {
  const [provider = "", rest = "", kind = ""] = type.split(":");
  if (type === "docker-build:index:Image") return IMAGE;
  if (provider === "aws") return AWS[`${rest}:${kind}`];
  if (provider !== "kubernetes") return undefined;
  return { replacedBy: ["metadata.name", "metadata.namespace", ...(KUBERNETES[kind] ?? [])] };
}

/** Whether a change at that path replaces the resource. */
export function replaces(facts: ResourceFacts, path: string): boolean {
  return facts.replacedBy.some((one) => path === one || path.startsWith(`${one}.`) || path.startsWith(`${one}[`));
}

/** What Pulumi's provider marks an object with whose name it has drawn. */
export const AUTONAMED_ANNOTATION = "pulumi.com/autonamed";

/**
 * Whether a replacement must delete the old one first, because both would have the same name: that of the program.
 *
 * @param before its inputs until now, as checked
 */
export function keepsName(type: string, facts: ResourceFacts, before: Properties, wanted: Properties): boolean {
  if (type.startsWith("kubernetes:")) {
    const annotations = valueAt(wanted, "metadata.annotations") as Properties | undefined;
    const same = (path: string) => textAt(before, path) === textAt(wanted, path);
    return annotations?.[AUTONAMED_ANNOTATION] === undefined && same("metadata.name") && same("metadata.namespace");
  }
  if (facts.autoName === undefined) return false;
  const drawn = wanted["__defaults"];
  return !(Array.isArray(drawn) && drawn.includes(facts.autoName)) && before[facts.autoName] === wanted[facts.autoName];
}
