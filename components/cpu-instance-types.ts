/** Instance types without GPUs that node groups may have: families of AWS that come in the same sizes. */
import type { Architecture, InstanceFacts } from "./instance-shape.ts";

/** vCPUs, and pods by addresses, of each size. General families differ in nothing else but memory. */
const SIZES = {
  large: [2, 29],
  xlarge: [4, 58],
  "2xlarge": [8, 58],
  "4xlarge": [16, 234],
  "8xlarge": [32, 234],
  "12xlarge": [48, 234],
  "16xlarge": [64, 737],
  "24xlarge": [96, 737],
} as const satisfies Record<string, readonly [vcpus: number, podsByAddresses: number]>;

const GIB_PER_VCPU = { c: 2, m: 4, r: 8 } as const;

/** Generation and maker of c, m and r: Graviton is arm64. Its sixth and seventh generation end at 16xlarge. */
const GENERATIONS = {
  "6i": { architecture: "amd64", largestVcpus: 96 },
  "6a": { architecture: "amd64", largestVcpus: 96 },
  "7i": { architecture: "amd64", largestVcpus: 96 },
  "7a": { architecture: "amd64", largestVcpus: 96 },
  "6g": { architecture: "arm64", largestVcpus: 64 },
  "7g": { architecture: "arm64", largestVcpus: 64 },
  "8g": { architecture: "arm64", largestVcpus: 96 },
} as const satisfies Record<string, { readonly architecture: Architecture; readonly largestVcpus: number }>;

/** Burstable types: for system nodes, and for workers that mostly wait. */
const BURSTABLE = {
  small: [2, 2, 11],
  medium: [2, 4, 17],
  large: [2, 8, 35],
  xlarge: [4, 16, 58],
  "2xlarge": [8, 32, 58],
} as const satisfies Record<string, readonly [vcpus: number, memoryGiB: number, podsByAddresses: number]>;

/** Facts by instance type. */
export const CPU_INSTANCE_TYPES: Readonly<Record<string, InstanceFacts>> = Object.fromEntries([
  ...Object.entries(GIB_PER_VCPU).flatMap(([letter, gibPerVcpu]) =>
    Object.entries(GENERATIONS).flatMap(([generation, { architecture, largestVcpus }]) =>
      Object.entries(SIZES)
        .filter(([, [vcpus]]) => vcpus <= largestVcpus)
        .map(([size, [vcpus, podsByAddresses]]): [string, InstanceFacts] => [
          `${letter}${generation}.${size}`,
          { vcpus, memoryGiB: vcpus * gibPerVcpu, architecture, podsByAddresses },
        ]),
    ),
  ),
  ...(["t3", "t4g"] as const).flatMap((family) =>
    Object.entries(BURSTABLE).map(([size, [vcpus, memoryGiB, podsByAddresses]]): [string, InstanceFacts] => [
      `${family}.${size}`,
      { vcpus, memoryGiB, architecture: family === "t4g" ? "arm64" : "amd64", podsByAddresses },
    ]),
  ),
]);
