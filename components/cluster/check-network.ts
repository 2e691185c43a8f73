/** What is wrong with a network, told from its plain values. */
import type { Faults } from "../faults.ts";
import { cidrText, isPrivate, parseCidr } from "./cidr.ts";
import {
  type ClusterNetwork,
  type CreatedNetwork,
  DEFAULT_CIDR,
  type LoadBalancerSubnets,
  type ZoneSubnet,
} from "./network.ts";

/** AWS's largest VPC, and the smallest whose subnets still hold a hundred pods. */
const PREFIX = { min: 16, max: 22 } as const;
const ZONE = /^[a-z]{2}(-[a-z]+)+-\d[a-z]$/;

export function checkNetwork(faults: Faults, network: ClusterNetwork): void {
  const { kind } = network as { readonly kind: string };
  if (kind !== "created" && kind !== "existing") {
    faults.add("network.kind", `is ${JSON.stringify(kind)}; write "created" or "existing"`);
  } else if (network.kind === "created") checkCreatedNetwork(faults, network);
  else checkVpcFacts(faults, "network", { ...network, cidrField: "cidr" });
}

function checkCreatedNetwork(
  faults: Faults,
  { zones = 3, natGateways = 1, cidr = DEFAULT_CIDR }: CreatedNetwork,
): void {
  if (typeof zones === "number") faults.integer("network.zones", zones, { min: 2, max: 3 });
  else checkZoneNames(faults, zones);
  faults.integer("network.natGateways", natGateways, { min: 0, max: 1 });
  const range = parseCidr(cidr);
  const [min, max] = [String(PREFIX.min), String(PREFIX.max)];
  if (range === undefined || cidrText(range) !== cidr || !isPrivate(range)) {
    faults.add(
      "network.cidr",
      `is ${JSON.stringify(cidr)}; write a private IPv4 range from its first address on, such as "10.0.0.0/16"`,
    );
  } else if (range.prefix < PREFIX.min || range.prefix > PREFIX.max) {
    faults.add(
      "network.cidr",
      `is ${JSON.stringify(cidr)}; write a range of /${min} to /${max}: each pod takes an address of it`,
    );
  }
}

function checkZoneNames(faults: Faults, zones: readonly string[]): void {
  const different = new Set(zones).size;
  if (different !== zones.length || different < 2 || different > 3) {
    faults.add(
      "network.zones",
      `names ${inWords(zones.length)}: ${zones.join(", ")}; write two or three different ones`,
    );
  }
  for (const [at, zone] of zones.entries()) {
    if (!ZONE.test(zone))
      faults.add(
        `network.zones[${String(at)}]`,
        `is ${JSON.stringify(zone)}; write a zone's name, such as "eu-west-1a"`,
      );
  }
}

/** What a VPC of the user's is, wherever it is told. */
interface VpcFacts {
  readonly cidr: string;
  readonly cidrField: string;
  readonly nodeSubnets: readonly ZoneSubnet[];
  readonly oneZone?: true;
  readonly loadBalancerSubnets?: LoadBalancerSubnets;
  readonly s3GatewayEndpointId?: unknown;
  readonly withoutS3GatewayEndpoint?: true;
}

/** @param path of the argument that tells them */
export function checkVpcFacts(faults: Faults, path: "network" | "existing", vpc: VpcFacts): void {
  const range = parseCidr(vpc.cidr);
  if (range === undefined || cidrText(range) !== vpc.cidr) {
    faults.add(
      `${path}.${vpc.cidrField}`,
      `is ${JSON.stringify(vpc.cidr)}; write the VPC's IPv4 range, such as "10.0.0.0/16"`,
    );
  }
  checkZones(faults, `${path}.nodeSubnets`, vpc.nodeSubnets, vpc.oneZone === true ? 1 : 2, NODE_ZONES[path]);
  for (const scheme of ["internal", "internetFacing"] as const) {
    const subnets = vpc.loadBalancerSubnets?.[scheme];
    if (subnets === undefined) continue;
    checkZones(faults, `${path}.loadBalancerSubnets.${scheme}`, subnets, 2, ": a load balancer takes no fewer");
  }
  if (vpc.s3GatewayEndpointId === undefined && vpc.withoutS3GatewayEndpoint === undefined) {
    faults.add(
      `${path}.s3GatewayEndpointId`,
      "is missing: without an S3 gateway endpoint (free) each byte that workers read is paid for at a NAT gateway; write its id (vpce-…), or withoutS3GatewayEndpoint: true",
    );
  } else if (vpc.s3GatewayEndpointId !== undefined && vpc.withoutS3GatewayEndpoint !== undefined) {
    faults.add(
      `${path}.withoutS3GatewayEndpoint`,
      "says that there is none, and s3GatewayEndpointId names one; leave one of them out",
    );
  }
}

/** Why two zones, and what to write if one is meant. */
const NODE_ZONES = {
  network: ": EKS takes no fewer",
  existing: ", or existing.oneZone: true if workers may wait for that zone's GPUs",
} as const;

function checkZones(
  faults: Faults,
  field: string,
  subnets: readonly ZoneSubnet[],
  zonesMin: number,
  why: string,
): void {
  const zones = [...new Set(subnets.map(({ zone }) => zone))];
  if (zones.length >= zonesMin) return;
  const found = [inWords(zones.length), ...zones].join(": ");
  faults.add(field, `is in ${found}; write subnets of two zones or more${why}`);
}

function inWords(count: number): string {
  if (count === 0) return "no zone";
  return count === 1 ? "one zone" : `${String(count)} zones`;
}
