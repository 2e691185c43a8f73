import { describe, expect, it } from "vitest";
import { aCluster } from "../support/a-cluster.ts";
import { render } from "../support/render.ts";

const SUBNET = "aws:ec2/subnet:Subnet";
const ROUTE = "aws:ec2/route:Route";
const NAT = "aws:ec2/natGateway:NatGateway";

describe("a network that is made for a cluster", () => {
  it("cuts its range into eighths: a private and a public one for each zone", async () => {
    const stack = await render(() => void aCluster({ network: { kind: "created", cidr: "10.40.0.0/20" } }));

    const subnets = stack.ofType(SUBNET).map(({ name, inputs }) => [name, inputs.availabilityZone, inputs.cidrBlock]);
    expect(Object.fromEntries(subnets.map(([name, ...rest]) => [name, rest]))).toEqual({
      "batch-private-0": ["eu-west-1a", "10.40.0.0/23"],
      "batch-private-1": ["eu-west-1b", "10.40.2.0/23"],
      "batch-private-2": ["eu-west-1c", "10.40.4.0/23"],
      "batch-public-0": ["eu-west-1a", "10.40.8.0/23"],
      "batch-public-1": ["eu-west-1b", "10.40.10.0/23"],
      "batch-public-2": ["eu-west-1c", "10.40.12.0/23"],
    });
  });

  it("gives a third zone later without moving the first two", async () => {
    const subnetsOf = async (zones: 2 | 3) => {
      const stack = await render(() => void aCluster({ network: { kind: "created", zones } }));
      return stack.ofType(SUBNET);
    };

    const before = await subnetsOf(2);
    const after = await subnetsOf(3);

    expect(before).toHaveLength(4);
    for (const { name, inputs } of before) {
      expect(after.find((each) => each.name === name)?.inputs).toEqual(inputs);
    }
  });

  it("has one NAT gateway, which is private subnets' way out", async () => {
    const stack = await render(() => void aCluster());

    expect(stack.one(NAT).inputs).toMatchObject({
      allocationId: "eipalloc-batch-nat-address",
      subnetId: "subnet-batch-public-0",
    });
    expect(stack.one(ROUTE, "batch-private-route").inputs).toEqual({
      routeTableId: "rtb-batch-private-routes",
      destinationCidrBlock: "0.0.0.0/0",
      natGatewayId: "nat-batch-nat",
    });
    expect(stack.ofType(SUBNET).map(({ inputs }) => inputs.mapPublicIpOnLaunch)).not.toContain(true);
  });

  it("without NAT: nodes stand in public subnets, and private ones have no way out", async () => {
    const stack = await render(() => {
      const cluster = aCluster({ network: { kind: "created", natGateways: 0, zones: 2 } });
      return { nodes: cluster.nodeSubnetIds, publicIps: cluster.nodesHavePublicIps };
    });

    expect(stack.outputs).toEqual({ nodes: ["subnet-batch-public-0", "subnet-batch-public-1"], publicIps: true });
    expect(stack.ofType(NAT)).toEqual([]);
    expect(stack.ofType("aws:ec2/eip:Eip")).toEqual([]);
    expect(stack.ofType(ROUTE).map(({ name }) => name)).toEqual(["batch-public-route"]);
    const withPublicIps = stack.ofType(SUBNET).filter(({ inputs }) => inputs.mapPublicIpOnLaunch === true);
    expect(withPublicIps.map(({ name }) => name).toSorted()).toEqual(["batch-public-0", "batch-public-1"]);
  });

  it("reaches S3 by a gateway endpoint from all subnets", async () => {
    const stack = await render(() => void aCluster());

    expect(stack.one("aws:ec2/vpcEndpoint:VpcEndpoint").inputs).toMatchObject({
      ...{ serviceName: "com.amazonaws.eu-west-1.s3", vpcEndpointType: "Gateway" },
      routeTableIds: ["rtb-batch-public-routes", "rtb-batch-private-routes"],
    });
    const associations = stack.ofType("aws:ec2/routeTableAssociation:RouteTableAssociation");
    expect(associations).toHaveLength(6);
  });

  it("keeps the zones that it was made in, whatever zones AWS shows later, unless they are named", async () => {
    const stack = await render(() => {
      aCluster();
      aCluster({ network: { kind: "created", zones: ["eu-west-1c", "eu-west-1a"] } }, "named");
    });

    const ignored = (name: string) => stack.one(SUBNET, name).ignoreChanges;
    expect(ignored("batch-private-0")).toEqual(["availabilityZone"]);
    expect(ignored("named-private-0")).toEqual([]);
    expect(stack.one(SUBNET, "named-private-0").inputs.availabilityZone).toBe("eu-west-1c");
    expect(stack.one(SUBNET, "named-public-1").inputs.availabilityZone).toBe("eu-west-1a");
    expect(stack.ofType(SUBNET).filter(({ name }) => name.startsWith("named"))).toHaveLength(4);
  });

  it("marks subnets for load balancers of others", async () => {
    const stack = await render(() => void aCluster());

    expect(stack.one(SUBNET, "batch-private-0").inputs.tags).toMatchObject({ "kubernetes.io/role/internal-elb": "1" });
    expect(stack.one(SUBNET, "batch-public-0").inputs.tags).toMatchObject({ "kubernetes.io/role/elb": "1" });
  });
});

describe("a network that is there already", () => {
  const subnets = (...ids: readonly string[]) =>
    ids.map((id, at) => ({ id, zone: `eu-west-1${["a", "b"][at % 2] ?? "a"}` }));
  const network = {
    kind: "existing",
    ...{ vpcId: "vpc-acme", cidr: "10.8.0.0/16", s3GatewayEndpointId: "vpce-1" },
    nodeSubnets: subnets("subnet-1", "subnet-2"),
  } as const;

  it("is used, and nothing is made in it", async () => {
    const stack = await render(() => {
      const cluster = aCluster({ network });
      return {
        vpc: [cluster.vpcId, cluster.vpcCidr],
        nodes: cluster.nodeSubnetIds,
        internal: cluster.loadBalancerSubnetIds.internal,
        faces: cluster.loadBalancerSubnetIds.internetFacing !== undefined,
      };
    });

    expect(stack.outputs).toEqual({
      vpc: ["vpc-acme", "10.8.0.0/16"],
      nodes: ["subnet-1", "subnet-2"],
      internal: ["subnet-1", "subnet-2"],
      faces: false,
    });
    expect(stack.resources.filter(({ type }) => type.startsWith("aws:ec2/")).map(({ name }) => name)).toEqual([
      "batch-system-template",
    ]);
    expect(stack.one("eks:index:Cluster").inputs).toMatchObject({
      vpcId: "vpc-acme",
      privateSubnetIds: ["subnet-1", "subnet-2"],
    });
  });

  it("has load balancers where it is told", async () => {
    const loadBalancerSubnets = { internal: subnets("i-1", "i-2"), internetFacing: subnets("p-1", "p-2") };

    const stack = await render(() => {
      const { loadBalancerSubnetIds } = aCluster({ network: { ...network, loadBalancerSubnets } });
      return { internal: loadBalancerSubnetIds.internal, facing: loadBalancerSubnetIds.internetFacing };
    });

    expect(stack.outputs).toEqual({ internal: ["i-1", "i-2"], facing: ["p-1", "p-2"] });
  });
});
