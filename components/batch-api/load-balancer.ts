/** A balancer before an API's service, declared whole: no controller runs in the cluster for it. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { BatchCluster } from "../batch-cluster.ts";

export interface LoadBalancerArgs {
  readonly cluster: Pick<BatchCluster, "vpcId" | "vpcCidr" | "loadBalancerSubnetIds" | "nodeSecurityGroupId">;
  /** Auto scaling group of the nodes that services run on. */
  readonly nodesGroupName: pulumi.Input<string>;
  readonly scheme: "internal" | "internetFacing";
  readonly certificateArn: pulumi.Input<string>;
  readonly cidrs: readonly string[];
  /** Ports of the nodes that lead to the doors and to health. */
  readonly doorsNodePort: pulumi.Output<number>;
  readonly healthNodePort: pulumi.Output<number>;
  readonly tags: Record<string, pulumi.Input<string>>;
}

/** Longer than anything that the service lets a caller wait for without a byte; the default of 60 cuts quiet log streams. */
const IDLE_SECONDS = 300;
const DRAIN_SECONDS = 30;
/** TLS 1.2 and 1.3 with forward secrecy alone (Elastic Load Balancing, security policies). */
const TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06";
const HTTPS = 443;

/** Declares it, and answers its DNS name. */
export function declareLoadBalancer(
  name: string,
  args: LoadBalancerArgs,
  parent: pulumi.Resource,
): pulumi.Output<string> {
  const { cluster, tags } = args;
  const options = { parent };
  const group = declareWays(name, args, options);
  const balancer = new aws.lb.LoadBalancer(
    `${name}-balancer`,
    {
      loadBalancerType: "application",
      internal: args.scheme === "internal",
      subnets: cluster.loadBalancerSubnetIds[args.scheme],
      securityGroups: [group.id],
      idleTimeout: IDLE_SECONDS,
      dropInvalidHeaderFields: true,
      tags,
    },
    options,
  );
  const targets = new aws.lb.TargetGroup(
    `${name}-targets`,
    {
      vpcId: cluster.vpcId,
      targetType: "instance",
      protocol: "HTTP",
      port: args.doorsNodePort,
      deregistrationDelay: DRAIN_SECONDS,
      healthCheck: { path: "/health/live", port: pulumi.interpolate`${args.healthNodePort}`, matcher: "200" },
      tags,
    },
    options,
  );
  new aws.autoscaling.Attachment(
    `${name}-nodes`,
    { autoscalingGroupName: args.nodesGroupName, lbTargetGroupArn: targets.arn },
    options,
  );
  new aws.lb.Listener(
    `${name}-listener`,
    {
      loadBalancerArn: balancer.arn,
      port: HTTPS,
      protocol: "HTTPS",
      sslPolicy: TLS_POLICY,
      certificateArn: args.certificateArn,
      defaultActions: [{ type: "forward", targetGroupArn: targets.arn }],
      tags,
    },
    options,
  );
  return balancer.dnsName;
}

/** In: from the callers' networks to the balancer, and from it to the nodes. Nothing else. */
function declareWays(
  name: string,
  args: LoadBalancerArgs,
  options: pulumi.CustomResourceOptions,
): aws.ec2.SecurityGroup {
  const { cluster, tags } = args;
  const group = new aws.ec2.SecurityGroup(
    `${name}-balancer-group`,
    { vpcId: cluster.vpcId, description: "Callers of a batch API", tags },
    options,
  );
  for (const cidr of args.cidrs) {
    new aws.vpc.SecurityGroupIngressRule(
      `${name}-from-${cidr.replaceAll(/[./:]/g, "-")}`,
      {
        securityGroupId: group.id,
        ...(cidr.includes(":") ? { cidrIpv6: cidr } : { cidrIpv4: cidr }),
        ...{ ipProtocol: "tcp", fromPort: HTTPS, toPort: HTTPS, tags },
      },
      options,
    );
  }
  for (const [role, port] of Object.entries({ doors: args.doorsNodePort, health: args.healthNodePort })) {
    const way = { ipProtocol: "tcp", fromPort: port, toPort: port, tags };
    new aws.vpc.SecurityGroupEgressRule(
      `${name}-to-${role}`,
      { securityGroupId: group.id, cidrIpv4: cluster.vpcCidr, ...way },
      options,
    );
    new aws.vpc.SecurityGroupIngressRule(
      `${name}-nodes-${role}`,
      { securityGroupId: cluster.nodeSecurityGroupId, referencedSecurityGroupId: group.id, ...way },
      options,
    );
  }
  return group;
}
