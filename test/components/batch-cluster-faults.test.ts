import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { BatchCluster, type BatchClusterArgs } from "../../components/batch-cluster.ts";
import type { BatchStore } from "../../components/batch-store.ts";
import { EXISTING } from "./support/a-cluster.ts";
import { render } from "./support/render.ts";

const apiServer = { kind: "public", cidrs: ["203.0.113.7/32"] } as const;
const network = {
  ...{ kind: "existing", vpcId: "vpc-1", cidr: "10.8.0.0/16", s3GatewayEndpointId: "vpce-1" },
  nodeSubnets: [
    { id: "subnet-1", zone: "eu-west-1a" },
    { id: "subnet-2", zone: "eu-west-1b" },
  ],
} as const;
const oneZone = [{ id: "subnet-1", zone: "eu-west-1a" }] as const;

/** As somebody's settings may come, unchecked by a compiler. */
type Unchecked = { readonly [field in keyof BatchClusterArgs]?: unknown };

async function faultsOf(args: Unchecked, name = "batch"): Promise<readonly string[]> {
  const store = {} as BatchStore;
  const rendered = render(() => new BatchCluster(name, { store, ...args } as BatchClusterArgs));
  const thrown = await rendered.then(() => undefined).catch((error: unknown) => error);
  if (thrown === undefined) return [];
  if (!(thrown instanceof Error)) throw new Error("something that is no error was thrown");
  if (!pulumi.InputPropertyError.isInstance(thrown) && !pulumi.InputPropertiesError.isInstance(thrown)) throw thrown;
  return thrown.message.split("\n").map((line) => line.replace('BatchCluster "batch": ', ""));
}

describe("BatchCluster refuses", () => {
  const golden: readonly (readonly [Unchecked, ...string[]])[] = [
    [
      {},
      'apiServer is missing; write { kind: "public", cidrs: ["203.0.113.7/32"] } with the addresses that you deploy from',
    ],
    [
      { apiServer: { kind: "private" } },
      'apiServer.kind is "private": only inside the VPC does that API server answer, and this program calls it to declare what runs there. Run it there and write deployFromInsideVpc: true, or write { kind: "public", cidrs: [...] }',
    ],
    [
      { apiServer: { kind: "open" }, network: { kind: "new" } },
      'apiServer.kind is "open"; write "public" or "private"',
      'network.kind is "new"; write "created" or "existing"',
    ],
    [
      { apiServer: { kind: "public", cidrs: [] } },
      'apiServer.cidrs has 0 ranges; write 1 to 40: the addresses that you deploy from, such as "203.0.113.7/32"',
    ],
    [
      { apiServer: { kind: "public", cidrs: ["203.0.113.7/32", "0.0.0.0/0"] } },
      'apiServer.cidrs[1] is "0.0.0.0/0", which is much of the internet; write the addresses that you deploy from, or openToTheInternet: true if it is meant',
    ],
    [
      { apiServer: { kind: "public", cidrs: ["128.0.0.0/1"] } },
      'apiServer.cidrs[0] is "128.0.0.0/1", which is much of the internet; write the addresses that you deploy from, or openToTheInternet: true if it is meant',
    ],
    [
      { apiServer: { kind: "public", cidrs: ["10.1.2.0/24"] } },
      'apiServer.cidrs[0] is "10.1.2.0/24", a private range, from which nobody comes to a public API server; write the address that your network has in the internet',
    ],
    [
      { apiServer: { kind: "public", cidrs: ["203.0.113.7"] } },
      'apiServer.cidrs[0] is "203.0.113.7", which is no IPv4 range; write an address and how many of its bits count, such as "203.0.113.7/32"',
    ],
    [
      { apiServer: { kind: "public", cidrs: ["203.0.113.7/24"] } },
      'apiServer.cidrs[0] is "203.0.113.7/24", which begins elsewhere; write "203.0.113.0/24" for the range, or /32 for the address',
    ],
    [
      { apiServer, kubernetesVersion: "1.35.2" },
      'kubernetesVersion is "1.35.2"; write major and minor version alone, such as "1.35"',
    ],
    [
      { apiServer, kubernetesVersion: "1.29" },
      'kubernetesVersion is "1.29", for which no release of the Cluster Autoscaler is known here; write one of 1.33, 1.34, 1.35, 1.36, or give its image as `autoscalerImage`',
    ],
    [
      { apiServer, controlPlaneLogs: ["audits"], controlPlaneLogRetentionDays: 10 },
      'controlPlaneLogs[0] is "audits"; write one of api, audit, authenticator, controllerManager, scheduler',
      "controlPlaneLogRetentionDays is 10, which CloudWatch Logs does not take; write 14, or another of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653",
    ],
    [
      { apiServer, systemNodes: { instanceType: "t3.mediun" } },
      'systemNodes.instanceType is "t3.mediun", which is not in the table of instance types; write "t3.medium", or another of components/cpu-instance-types.ts',
    ],
    [
      { apiServer, systemNodes: { instanceType: "g6.xlarge" } },
      'systemNodes.instanceType is "g6.xlarge", which has GPUs; write a type without, such as "t3.medium"',
    ],
    [
      { apiServer, systemNodes: { nodesMin: 0, diskGiB: 4 } },
      "systemNodes.nodesMin is 0; write a whole number from 1 to 100",
      "systemNodes.diskGiB is 4; write a whole number from 20 to 16,384",
    ],
    [
      { apiServer, systemNodes: { nodesMin: 3, nodesMax: 2 } },
      "systemNodes.nodesMax is 2; write a whole number from 3 to 100",
    ],
    [{ apiServer, network: { kind: "created", zones: 1 } }, "network.zones is 1; write a whole number from 2 to 3"],
    [
      { apiServer, network: { kind: "created", zones: ["eu-west-1a"] } },
      "network.zones names one zone: eu-west-1a; write two or three different ones",
    ],
    [
      { apiServer, network: { kind: "created", zones: ["eu-west-1a", "eu-west-1a"] } },
      "network.zones names 2 zones: eu-west-1a, eu-west-1a; write two or three different ones",
    ],
    [
      { apiServer, network: { kind: "created", zones: ["eu-west-1a", "b"] } },
      'network.zones[1] is "b"; write a zone\'s name, such as "eu-west-1a"',
    ],
    [
      { apiServer, network: { kind: "created", natGateways: 2 } },
      "network.natGateways is 2; write a whole number from 0 to 1",
    ],
    [
      { apiServer, network: { kind: "created", cidr: "203.0.113.0/20" } },
      'network.cidr is "203.0.113.0/20"; write a private IPv4 range from its first address on, such as "10.0.0.0/16"',
    ],
    [
      { apiServer, network: { kind: "created", cidr: "10.0.0.0/24" } },
      'network.cidr is "10.0.0.0/24"; write a range of /16 to /22: each pod takes an address of it',
    ],
    [
      { apiServer, network: { ...network, nodeSubnets: oneZone } },
      "network.nodeSubnets is in one zone: eu-west-1a; write subnets of two zones or more: EKS takes no fewer",
    ],
    [
      { apiServer, network: { ...network, loadBalancerSubnets: { internetFacing: oneZone } } },
      "network.loadBalancerSubnets.internetFacing is in one zone: eu-west-1a; write subnets of two zones or more: a load balancer takes no fewer",
    ],
    [
      { apiServer, network: { ...network, s3GatewayEndpointId: undefined } },
      "network.s3GatewayEndpointId is missing: without an S3 gateway endpoint (free) each byte that workers read is paid for at a NAT gateway; write its id (vpce-…), or withoutS3GatewayEndpoint: true",
    ],
    [
      { apiServer, network: { ...network, withoutS3GatewayEndpoint: true } },
      "network.withoutS3GatewayEndpoint says that there is none, and s3GatewayEndpointId names one; leave one of them out",
    ],
    [
      { apiServer, network: { ...network, cidr: "vpc" } },
      'network.cidr is "vpc"; write the VPC\'s IPv4 range, such as "10.0.0.0/16"',
    ],
    [{ existing: EXISTING }, 'kubernetesVersion is missing; write what the existing cluster runs, such as "1.35"'],
    [
      { existing: EXISTING, kubernetesVersion: "1.35", apiServer, deletionProtection: true },
      "apiServer is for a cluster that is created here; leave it out beside `existing`",
      "deletionProtection is for a cluster that is created here; leave it out beside `existing`",
    ],
    [
      { existing: EXISTING, kubernetesVersion: "1.35", autoscalerImage: "registry/ca:v1" },
      'autoscalerImage is for an autoscaler that is declared here; leave it out, or write existing.autoscaler: "install"',
    ],
    [
      { existing: { ...EXISTING, nodeSubnets: oneZone, vpcCidr: "10.8" }, kubernetesVersion: "1.35" },
      'existing.vpcCidr is "10.8"; write the VPC\'s IPv4 range, such as "10.0.0.0/16"',
      "existing.nodeSubnets is in one zone: eu-west-1a; write subnets of two zones or more, or existing.oneZone: true if workers may wait for that zone's GPUs",
    ],
    [
      { existing: { ...EXISTING, nodeSubnets: [] }, kubernetesVersion: "1.35" },
      "existing.nodeSubnets is in no zone; write subnets of two zones or more, or existing.oneZone: true if workers may wait for that zone's GPUs",
    ],
  ];

  for (const [args, ...expected] of golden) {
    it(JSON.stringify(args), async () => {
      expect(await faultsOf(args)).toEqual(expected);
    });
  }

  it("a name that makes the cluster's too long", async () => {
    const name = "b".repeat(90);

    expect(await faultsOf({ apiServer }, name)).toEqual([
      `BatchCluster "${name}": name makes the cluster's name in AWS 104 characters long (millrace-test-${name}), and EKS takes 100; shorten it`,
    ]);
  });

  it("all at once, by the path that was written, and declares nothing", async () => {
    const args = { network: { kind: "created", natGateways: 3 }, systemNodes: { nodesMin: -1 } } as const;
    let thrown: unknown;

    const rendered = render(() => {
      try {
        new BatchCluster("batch", { store: {} as BatchStore, ...args } as unknown as BatchClusterArgs);
      } catch (error) {
        thrown = error;
      }
    });

    expect((await rendered).resources).toEqual([]);
    const { errors } = thrown as pulumi.InputPropertiesError;
    expect(errors.map(({ propertyPath }) => propertyPath)).toEqual([
      "apiServer",
      "network.natGateways",
      "systemNodes.nodesMin",
    ]);
  });
});

describe("BatchCluster takes", () => {
  it.each<Unchecked>([
    { apiServer: { kind: "public", cidrs: ["0.0.0.0/0"], openToTheInternet: true } },
    { apiServer: { kind: "public", cidrs: Array.from({ length: 40 }, (_, at) => `203.0.113.${String(at)}/32`) } },
    { apiServer, network: { kind: "created", zones: 2, natGateways: 0, cidr: "100.64.0.0/22" } },
    { apiServer, kubernetesVersion: "1.37", autoscalerImage: "registry/ca:v1.37.0" },
    { apiServer, systemNodes: { nodesMin: 100 } },
    { existing: { ...EXISTING, nodeSubnets: oneZone, oneZone: true }, kubernetesVersion: "1.37" },
  ])("%j", async (args) => {
    const faults = await faultsOf(args);

    expect(faults).toEqual([]);
  });
});
