/** What providers compute, so that programs under test see outputs of the right shape. All of it is made up. */

const ACCOUNT = "123456789012";
const REGION = "eu-west-1";

type Properties = Readonly<Record<string, unknown>>;
type Computed = { readonly id: string } & Properties;

/** First input that names the thing, else its logical name with digits, as the provider would draw one. */
function physicalName(name: string, inputs: Properties, ...keys: readonly string[]): string {
  const given = keys.map((key) => inputs[key]).find((value) => typeof value === "string");
  return given ?? `${name}-1234567`;
}

const named =
  (service: string, prefix: string, ...keys: readonly string[]) =>
  (name: string, inputs: Properties): Computed => {
    const physical = physicalName(name, inputs, "name", ...keys);
    return { id: physical, name: physical, arn: `arn:aws:${service}:${REGION}:${ACCOUNT}:${prefix}${physical}` };
  };

const identified =
  (prefix: string, kind: string) =>
  (name: string): Computed => {
    const id = `${prefix}-${name}`;
    return { id, arn: `arn:aws:ec2:${REGION}:${ACCOUNT}:${kind}/${id}` };
  };

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => Computed>> = {
  "aws:s3/bucket:Bucket": (name, inputs) => {
    const bucket = physicalName(name, inputs, "bucket");
    return {
      id: bucket,
      bucket,
      arn: `arn:aws:s3:::${bucket}`,
      bucketRegionalDomainName: `${bucket}.s3.amazonaws.com`,
    };
  },
  "aws:sqs/queue:Queue": (name, inputs) => {
    const queue = physicalName(name, inputs, "name");
    const url = `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${queue}`;
    return { id: url, url, name: queue, arn: `arn:aws:sqs:${REGION}:${ACCOUNT}:${queue}` };
  },
  "aws:iam/role:Role": (name, inputs) => {
    const role = physicalName(name, inputs, "name");
    return { id: role, name: role, arn: `arn:aws:iam::${ACCOUNT}:role/${role}`, uniqueId: "AROA0" };
  },
  "aws:cloudwatch/logGroup:LogGroup": named("logs", "log-group:"),
  "aws:cloudwatch/metricAlarm:MetricAlarm": named("cloudwatch", "alarm:"),
  "aws:eks/cluster:Cluster": named("eks", "cluster/"),
  "aws:eks/nodeGroup:NodeGroup": (name, inputs) => {
    const group = physicalName(name, inputs, "nodeGroupName");
    return {
      id: `${String(inputs.clusterName)}:${group}`,
      nodeGroupName: group,
      arn: `arn:aws:eks:${REGION}:${ACCOUNT}:nodegroup/${String(inputs.clusterName)}/${group}/0`,
      resources: [{ autoscalingGroups: [{ name: `eks-${group}` }], remoteAccessSecurityGroupId: "" }],
    };
  },
  "aws:ec2/launchTemplate:LaunchTemplate": (name) => ({
    ...identified("lt", "launch-template")(name),
    latestVersion: 1,
    name: `${name}-1234567`,
  }),
  "aws:ec2/vpc:Vpc": (name) => ({ ...identified("vpc", "vpc")(name), mainRouteTableId: "rtb-main" }),
  "aws:ec2/subnet:Subnet": identified("subnet", "subnet"),
  "aws:ec2/securityGroup:SecurityGroup": identified("sg", "security-group"),
  "aws:ec2/internetGateway:InternetGateway": identified("igw", "internet-gateway"),
  "aws:ec2/natGateway:NatGateway": identified("nat", "natgateway"),
  "aws:ec2/routeTable:RouteTable": identified("rtb", "route-table"),
  "aws:ec2/vpcEndpoint:VpcEndpoint": identified("vpce", "vpc-endpoint"),
  "aws:ec2/eip:Eip": (name) => ({ ...identified("eipalloc", "elastic-ip")(name), allocationId: `eipalloc-${name}` }),
  "aws:lb/loadBalancer:LoadBalancer": (name) => ({
    ...named("elasticloadbalancing", "loadbalancer/app/")(name, {}),
    dnsName: `${name}-1234567.${REGION}.elb.amazonaws.com`,
    zoneId: "Z0",
  }),
  "aws:lb/targetGroup:TargetGroup": named("elasticloadbalancing", "targetgroup/"),
  "aws:lb/listener:Listener": named("elasticloadbalancing", "listener/"),
  "aws:ecr/repository:Repository": (name, inputs) => {
    const repository = physicalName(name, inputs, "name");
    const url = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/${repository}`;
    return {
      id: repository,
      name: repository,
      repositoryUrl: url,
      registryId: ACCOUNT,
      arn: `arn:aws:ecr:${REGION}:${ACCOUNT}:repository/${repository}`,
    };
  },
  "aws:s3/bucketObjectv2:BucketObjectv2": (_name, inputs) => ({ id: String(inputs.key), etag: "0".repeat(32) }),
  "docker-build:index:Image": (name, inputs) => {
    const tag = Array.isArray(inputs.tags) ? String(inputs.tags[0]) : name;
    const digest = `sha256:${"c".repeat(64)}`;
    return { id: name, digest, ref: `${tag.split(":")[0] ?? tag}@${digest}`, contextHash: "c0ffee" };
  },
  "eks:index:Cluster": (name, inputs) => {
    const cluster = physicalName(name, inputs, "name");
    const arn = `arn:aws:eks:${REGION}:${ACCOUNT}:cluster/${cluster}`;
    const kubeconfig = { apiVersion: "v1", kind: "Config", clusters: [{ name: cluster }] };
    return {
      id: cluster,
      kubeconfig,
      kubeconfigJson: JSON.stringify(kubeconfig),
      eksCluster: {
        ...{ id: cluster, name: cluster, arn, version: inputs.version, endpoint: "https://ABC.eks.amazonaws.com" },
        certificateAuthority: { data: "Y2E=" },
        vpcConfig: { clusterSecurityGroupId: "sg-cluster", vpcId: inputs.vpcId },
      },
      clusterSecurityGroupId: "sg-cluster",
      nodeSecurityGroupId: "sg-nodes",
      oidcProviderArn: `arn:aws:iam::${ACCOUNT}:oidc-provider/x`,
      oidcProviderUrl: "https://oidc.eks.amazonaws.com/id/X",
    };
  },
  "kubernetes:core/v1:Service": (name, inputs) => {
    const spec = inputs.spec as { ports?: readonly Properties[]; type?: string } | undefined;
    const ports = (spec?.ports ?? []).map((port, at) =>
      spec?.type === "NodePort" ? { nodePort: 31_000 + at, ...port } : port,
    );
    return { id: name, spec: { ...spec, ports } };
  },
};

/** Outputs of a resource: its inputs, and what its provider adds to them; `id` among them. */
export function computedOutputs(type: string, name: string, inputs: Properties): { id: string } & Properties {
  const known = COMPUTED[type]?.(name, inputs);
  const generic = {
    id: `${name}-id`,
    ...(type.startsWith("aws:") ? { arn: `arn:aws:stub:${REGION}:${ACCOUNT}:${name}` } : {}),
  };
  return { ...inputs, ...(known ?? generic) };
}

const ANSWERS: Readonly<Record<string, (inputs: Properties) => Properties>> = {
  "aws:index/getPartition:getPartition": () => ({ partition: "aws", dnsSuffix: "amazonaws.com", id: "aws" }),
  "aws:index/getRegion:getRegion": () => ({
    name: REGION,
    region: REGION,
    id: REGION,
    description: "Europe (Ireland)",
  }),
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({
    accountId: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/deployer`,
    userId: "AID0",
    id: ACCOUNT,
  }),
  "aws:index/getAvailabilityZones:getAvailabilityZones": () => ({
    names: ["a", "b", "c"].map((zone) => REGION + zone),
    zoneIds: ["euw1-az1", "euw1-az2", "euw1-az3"],
    id: REGION,
  }),
  "aws:eks/getAddonVersion:getAddonVersion": ({ addonName, kubernetesVersion }) => ({
    version: `v1.0.0-eksbuild.1-for-${String(kubernetesVersion)}`,
    id: String(addonName),
  }),
  "aws:ecr/getAuthorizationToken:getAuthorizationToken": () => ({
    userName: "AWS",
    password: "registry-password",
    proxyEndpoint: `https://${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com`,
    id: ACCOUNT,
  }),
};

/** What a provider answers to a question. Throws for one that no component of ours is known to ask. */
export function answerTo(token: string, inputs: Properties): Properties {
  const answer = ANSWERS[token];
  if (answer === undefined) throw new Error(`no answer is made up for ${token}; add one to computed-outputs.ts`);
  return answer(inputs);
}
