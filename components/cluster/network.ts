/** The network of a cluster: a VPC of its own, or one that is there already. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Tags } from "../tags.ts";
import { parseCidr, part } from "./cidr.ts";

/** A VPC that is made for the cluster, with a public and a private subnet in each zone and an S3 gateway endpoint (free). */
export interface CreatedNetwork {
  readonly kind: "created";
  /**
   * Availability zones: how many, 2 or 3, or which, by name (`["eu-west-1a", "eu-west-1c"]`). Default 3. More zones are more places
   * where GPUs may be free. By number, zones that have no EKS control planes are left out, and a zone once chosen stays.
   */
  readonly zones?: 2 | 3 | readonly string[];
  /**
   * 1: nodes stand in private subnets and reach the internet through one NAT gateway (about 33 $ a month, and 0.045 $/GB for what is
   * not S3 of the region). 0: nodes have public addresses, which nothing can connect to. Default 1. A change replaces all node groups.
   */
  readonly natGateways?: 0 | 1;
  /** Private IPv4 range, /16 to /22: each subnet gets an eighth of it, and each pod an address. Default `10.0.0.0/16`. */
  readonly cidr?: string;
}

/** A VPC of yours. Nothing in it is changed, but that EKS makes network interfaces and a security group. */
export interface ExistingNetwork {
  readonly kind: "existing";
  readonly vpcId: pulumi.Input<string>;
  /** The VPC's IPv4 range. */
  readonly cidr: string;
  /** Where nodes and the control plane's network interfaces go: two zones or more. Nodes must reach EKS, ECR, S3, SQS and Logs from there. */
  readonly nodeSubnets: readonly ZoneSubnet[];
  /** Where load balancers go; default: internal ones to `nodeSubnets`, and none that faces the internet. */
  readonly loadBalancerSubnets?: LoadBalancerSubnets;
  /** The VPC's S3 gateway endpoint. Without one, each byte that workers read pays for NAT. */
  readonly s3GatewayEndpointId?: pulumi.Input<string>;
  /** True: there is none, and S3 is reached in another way that you have paid for. */
  readonly withoutS3GatewayEndpoint?: true;
}

export type ClusterNetwork = CreatedNetwork | ExistingNetwork;

export interface ZoneSubnet {
  readonly id: pulumi.Input<string>;
  /** Availability zone, as in `eu-west-1a`. */
  readonly zone: string;
}

export interface LoadBalancerSubnets {
  /** Subnets for balancers with private addresses. */
  readonly internal?: readonly ZoneSubnet[];
  /** Subnets with a route from the internet. */
  readonly internetFacing?: readonly ZoneSubnet[];
}

/** What the rest of a cluster asks of its network. */
export interface NetworkFacts {
  readonly vpcId: pulumi.Output<string>;
  readonly vpcCidr: string;
  readonly nodeSubnetIds: pulumi.Output<string[]>;
  readonly controlPlaneSubnetIds: pulumi.Output<string[]>;
  readonly loadBalancerSubnetIds: LoadBalancerSubnetIds;
  readonly nodesHavePublicIps: boolean;
}

export interface LoadBalancerSubnetIds {
  readonly internal: pulumi.Output<string[]>;
  /** undefined: this network has none. */
  readonly internetFacing: pulumi.Output<string[]> | undefined;
}

export const DEFAULT_CIDR = "10.0.0.0/16";
export const DEFAULT_ZONES = 3;

/** A range is cut into eighths: private subnets are the first ones, public ones begin at the fifth, so a third zone moves nothing. */
const SUBNET_BITS = 3;
const FIRST_PUBLIC = 4;

/** Zones without EKS control planes: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html#network-requirements-subnets */
const ZONES_WITHOUT_EKS = ["use1-az3", "usw1-az2", "cac1-az3"];

const ANYWHERE = "0.0.0.0/0";

export function existingNetwork(network: ExistingNetwork): NetworkFacts {
  const { nodeSubnets, loadBalancerSubnets } = network;
  const nodeSubnetIds = idsOf(nodeSubnets);
  return {
    vpcId: pulumi.output(network.vpcId),
    vpcCidr: network.cidr,
    ...{ nodeSubnetIds, controlPlaneSubnetIds: nodeSubnetIds },
    loadBalancerSubnetIds: loadBalancerSubnetIds(nodeSubnetIds, loadBalancerSubnets),
    nodesHavePublicIps: false,
  };
}

/** Of a VPC that is there: internal balancers stand among the nodes unless told otherwise. */
export function loadBalancerSubnetIds(
  nodeSubnetIds: pulumi.Output<string[]>,
  { internal, internetFacing }: LoadBalancerSubnets = {},
): LoadBalancerSubnetIds {
  return {
    internal: internal === undefined ? nodeSubnetIds : idsOf(internal),
    internetFacing: internetFacing === undefined ? undefined : idsOf(internetFacing),
  };
}

export function idsOf(subnets: readonly { readonly id: pulumi.Input<string> }[]): pulumi.Output<string[]> {
  return pulumi.all(subnets.map(({ id }) => id));
}

/** Declares a VPC. Private subnets are there without a NAT gateway too, so that adding one moves no subnet. */
export function createNetwork(
  name: string,
  network: CreatedNetwork,
  tags: Tags,
  parent: pulumi.Resource,
): NetworkFacts {
  const { zones = DEFAULT_ZONES, natGateways = 1, cidr = DEFAULT_CIDR } = network;
  const declare = new NetworkParts(name, tags, parent);
  const vpc = declare.vpc(cidr);
  const gateway = declare.internetGateway(vpc);
  const subnets = declare.subnets(vpc, cidr, zones, natGateways === 0);
  const routes = declare.routeTables(vpc, subnets);
  const outward = declare.route("public-route", routes.public.table, { gatewayId: gateway.id });
  const ways: pulumi.CustomResource[] = [outward, ...routes.public.associations, ...routes.private.associations];
  if (natGateways === 1) {
    const nat = declare.natGateway(subnets.public, outward);
    ways.push(declare.route("private-route", routes.private.table, { natGatewayId: nat.id }));
  }
  ways.push(declare.s3GatewayEndpoint(vpc, [routes.public.table, routes.private.table]));
  const publicIds = idsWithWays(subnets.public, ways);
  const privateIds = idsWithWays(subnets.private, ways);
  return {
    vpcId: vpc.id,
    vpcCidr: cidr,
    nodeSubnetIds: natGateways === 0 ? publicIds : privateIds,
    controlPlaneSubnetIds: privateIds,
    loadBalancerSubnetIds: { internal: privateIds, internetFacing: publicIds },
    nodesHavePublicIps: natGateways === 0,
  };
}

/** Whoever stands in a subnet is made after its routes and goes before them: a node without a way out never joins its cluster. */
function idsWithWays(
  subnets: readonly aws.ec2.Subnet[],
  ways: readonly pulumi.CustomResource[],
): pulumi.Output<string[]> {
  return pulumi.all([idsOf(subnets), idsOf(ways)]).apply(([ids]) => ids);
}

interface Routes {
  readonly table: aws.ec2.RouteTable;
  readonly associations: readonly aws.ec2.RouteTableAssociation[];
}

interface Subnets {
  readonly public: readonly aws.ec2.Subnet[];
  readonly private: readonly aws.ec2.Subnet[];
}

class NetworkParts {
  readonly #name: string;
  readonly #tags: Tags;
  readonly #parent: pulumi.Resource;

  constructor(name: string, tags: Tags, parent: pulumi.Resource) {
    [this.#name, this.#tags, this.#parent] = [name, tags, parent];
  }

  vpc(cidrBlock: string): aws.ec2.Vpc {
    const args = { cidrBlock, enableDnsHostnames: true, enableDnsSupport: true, tags: this.#named("vpc") };
    const vpc = new aws.ec2.Vpc(`${this.#name}-vpc`, args, { parent: this.#parent });
    // a VPC comes with a group that lets all of its members reach each other: emptied, so that nothing rests on it
    const emptied = { vpcId: vpc.id, ingress: [], egress: [], tags: this.#named("unused") };
    new aws.ec2.DefaultSecurityGroup(`${this.#name}-default-security-group`, emptied, { parent: this.#parent });
    return vpc;
  }

  internetGateway(vpc: aws.ec2.Vpc): aws.ec2.InternetGateway {
    const args = { vpcId: vpc.id, tags: this.#named("internet") };
    return new aws.ec2.InternetGateway(`${this.#name}-internet-gateway`, args, { parent: this.#parent });
  }

  subnets(vpc: aws.ec2.Vpc, cidr: string, zones: 2 | 3 | readonly string[], nodesInPublic: boolean): Subnets {
    const names = this.#zoneNames(zones);
    // a zone that AWS adds or hides later would else replace subnets, and all that stands in them
    const ignoreChanges = typeof zones === "number" ? ["availabilityZone"] : [];
    const range = parseCidr(cidr) ?? { first: 0, prefix: 0 };
    const subnet = (kind: "private" | "public", at: number, block: number, role: string) =>
      new aws.ec2.Subnet(
        `${this.#name}-${kind}-${String(at)}`,
        {
          vpcId: vpc.id,
          availabilityZone: names[at] ?? "",
          cidrBlock: part(range, range.prefix + SUBNET_BITS, block),
          mapPublicIpOnLaunch: kind === "public" && nodesInPublic,
          tags: { ...this.#named(`${kind}-${String(at)}`), [`kubernetes.io/role/${role}`]: "1" },
        },
        { parent: this.#parent, ignoreChanges },
      );
    return {
      private: names.map((_, at) => subnet("private", at, at, "internal-elb")),
      public: names.map((_, at) => subnet("public", at, FIRST_PUBLIC + at, "elb")),
    };
  }

  /** One table for public subnets, one for private ones. */
  routeTables(vpc: aws.ec2.Vpc, subnets: Subnets): Record<keyof Subnets, Routes> {
    const routes = (kind: keyof Subnets): Routes => {
      const args = { vpcId: vpc.id, tags: this.#named(kind) };
      const table = new aws.ec2.RouteTable(`${this.#name}-${kind}-routes`, args, { parent: this.#parent });
      const associations = subnets[kind].map(({ id: subnetId }, at) => {
        const pair = { subnetId, routeTableId: table.id };
        return new aws.ec2.RouteTableAssociation(`${this.#name}-${kind}-${String(at)}-routes`, pair, {
          parent: this.#parent,
        });
      });
      return { table, associations };
    };
    return { public: routes("public"), private: routes("private") };
  }

  route(
    role: string,
    table: aws.ec2.RouteTable,
    to: Pick<aws.ec2.RouteArgs, "gatewayId" | "natGatewayId">,
  ): aws.ec2.Route {
    const args = { routeTableId: table.id, destinationCidrBlock: ANYWHERE, ...to };
    return new aws.ec2.Route(`${this.#name}-${role}`, args, { parent: this.#parent });
  }

  natGateway([subnet]: readonly aws.ec2.Subnet[], outward: aws.ec2.Route): aws.ec2.NatGateway {
    const options = { parent: this.#parent };
    const address = new aws.ec2.Eip(`${this.#name}-nat-address`, { domain: "vpc", tags: this.#named("nat") }, options);
    return new aws.ec2.NatGateway(
      `${this.#name}-nat`,
      { allocationId: address.allocationId, ...(subnet && { subnetId: subnet.id }), tags: this.#named("nat") },
      { parent: this.#parent, dependsOn: outward },
    );
  }

  s3GatewayEndpoint(vpc: aws.ec2.Vpc, tables: readonly aws.ec2.RouteTable[]): aws.ec2.VpcEndpoint {
    const { region } = aws.getRegionOutput({}, { parent: this.#parent });
    return new aws.ec2.VpcEndpoint(
      `${this.#name}-s3`,
      {
        vpcId: vpc.id,
        serviceName: pulumi.interpolate`com.amazonaws.${region}.s3`,
        vpcEndpointType: "Gateway",
        routeTableIds: tables.map(({ id }) => id),
        tags: this.#named("s3"),
      },
      { parent: this.#parent },
    );
  }

  #zoneNames(zones: 2 | 3 | readonly string[]): readonly pulumi.Input<string>[] {
    if (typeof zones !== "number") return zones;
    const found = aws.getAvailabilityZonesOutput(
      { filters: [{ name: "opt-in-status", values: ["opt-in-not-required"] }], excludeZoneIds: ZONES_WITHOUT_EKS },
      { parent: this.#parent },
    );
    return Array.from({ length: zones }, (_, at) =>
      found.names.apply((names) => {
        const zone = names.toSorted()[at];
        if (zone !== undefined) return zone;
        throw new Error(
          `this region has ${String(names.length)} zones for a cluster, network.zones says ${String(zones)}; write 2`,
        );
      }),
    );
  }

  #named(role: string): Record<string, pulumi.Input<string>> {
    return { Name: `${this.#name}-${role}`, ...this.#tags };
  }
}
