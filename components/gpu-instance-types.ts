/** Instance types with NVIDIA GPUs that node groups may have. A new one is one line. */
import type { Architecture, InstanceFacts } from "./instance-shape.ts";

export interface GpuInstanceFacts extends InstanceFacts {
  readonly gpus: number;
  /** Of each GPU, as its maker names it. */
  readonly gpuMemoryGiB: number;
  /** Value of the node label `k8s.amazonaws.com/accelerator`. */
  readonly accelerator: string;
}

/** GPUs by family: label, memory of each in GiB. */
const GPUS = {
  g4dn: ["nvidia-tesla-t4", 16],
  g5: ["nvidia-a10g", 24],
  g5g: ["nvidia-t4g", 16],
  g6: ["nvidia-l4", 24],
  gr6: ["nvidia-l4", 24],
  g6e: ["nvidia-l40s", 48],
  g7e: ["nvidia-rtx-pro-6000", 96],
  p3: ["nvidia-tesla-v100", 16],
  p3dn: ["nvidia-tesla-v100", 32],
  p4d: ["nvidia-a100", 40],
  p4de: ["nvidia-a100", 80],
  p5: ["nvidia-h100", 80],
  p5e: ["nvidia-h200", 141],
  p5en: ["nvidia-h200", 141],
  "p6-b200": ["nvidia-b200", 180],
  "p6-b300": ["nvidia-b300", 268],
} as const satisfies Record<string, readonly [accelerator: string, gpuMemoryGiB: number]>;

type Family = keyof typeof GPUS;

/** vCPU, memory in GiB, GPUs, pods by addresses. */
type Row = readonly [vcpus: number, memoryGiB: number, gpus: number, podsByAddresses: number];

// g7e's addresses are not in AWS's published list yet: those of g6e, its predecessor of the same sizes
const TYPES = {
  "g4dn.xlarge": [4, 16, 1, 29],
  "g4dn.2xlarge": [8, 32, 1, 29],
  "g4dn.4xlarge": [16, 64, 1, 29],
  "g4dn.8xlarge": [32, 128, 1, 58],
  "g4dn.12xlarge": [48, 192, 4, 234],
  "g4dn.16xlarge": [64, 256, 1, 58],
  "g5.xlarge": [4, 16, 1, 58],
  "g5.2xlarge": [8, 32, 1, 58],
  "g5.4xlarge": [16, 64, 1, 234],
  "g5.8xlarge": [32, 128, 1, 234],
  "g5.12xlarge": [48, 192, 4, 737],
  "g5.16xlarge": [64, 256, 1, 234],
  "g5.24xlarge": [96, 384, 4, 737],
  "g5.48xlarge": [192, 768, 8, 345],
  "g5g.xlarge": [4, 8, 1, 58],
  "g5g.2xlarge": [8, 16, 1, 58],
  "g5g.4xlarge": [16, 32, 1, 234],
  "g5g.8xlarge": [32, 64, 1, 234],
  "g5g.16xlarge": [64, 128, 2, 737],
  "g6.xlarge": [4, 16, 1, 58],
  "g6.2xlarge": [8, 32, 1, 58],
  "g6.4xlarge": [16, 64, 1, 234],
  "g6.8xlarge": [32, 128, 1, 234],
  "g6.12xlarge": [48, 192, 4, 234],
  "g6.16xlarge": [64, 256, 1, 737],
  "g6.24xlarge": [96, 384, 4, 737],
  "g6.48xlarge": [192, 768, 8, 737],
  "gr6.4xlarge": [16, 128, 1, 234],
  "gr6.8xlarge": [32, 256, 1, 234],
  "g6e.xlarge": [4, 32, 1, 58],
  "g6e.2xlarge": [8, 64, 1, 58],
  "g6e.4xlarge": [16, 128, 1, 234],
  "g6e.8xlarge": [32, 256, 1, 234],
  "g6e.12xlarge": [48, 384, 4, 292],
  "g6e.16xlarge": [64, 512, 1, 737],
  "g6e.24xlarge": [96, 768, 4, 492],
  "g6e.48xlarge": [192, 1536, 8, 492],
  "g7e.2xlarge": [8, 64, 1, 58],
  "g7e.4xlarge": [16, 128, 1, 234],
  "g7e.8xlarge": [32, 256, 1, 234],
  "g7e.12xlarge": [48, 512, 2, 292],
  "g7e.24xlarge": [96, 1024, 4, 492],
  "g7e.48xlarge": [192, 2048, 8, 492],
  "p3.2xlarge": [8, 61, 1, 58],
  "p3.8xlarge": [32, 244, 4, 234],
  "p3.16xlarge": [64, 488, 8, 234],
  "p3dn.24xlarge": [96, 768, 8, 737],
  "p4d.24xlarge": [96, 1152, 8, 737],
  "p4de.24xlarge": [96, 1152, 8, 737],
  "p5.4xlarge": [16, 256, 1, 118],
  "p5.48xlarge": [192, 2048, 8, 100],
  "p5e.48xlarge": [192, 2048, 8, 100],
  "p5en.48xlarge": [192, 2048, 8, 198],
  "p6-b200.48xlarge": [192, 2048, 8, 198],
  "p6-b300.48xlarge": [192, 4096, 8, 198],
} as const satisfies Record<`${Family}.${string}`, Row>;

function factsOf(type: string, [vcpus, memoryGiB, gpus, podsByAddresses]: Row): GpuInstanceFacts {
  const family = type.slice(0, type.indexOf(".")) as Family;
  const [accelerator, gpuMemoryGiB] = GPUS[family];
  const architecture: Architecture = family === "g5g" ? "arm64" : "amd64";
  return { vcpus, memoryGiB, architecture, podsByAddresses, gpus, gpuMemoryGiB, accelerator };
}

/** Facts by instance type. */
export const GPU_INSTANCE_TYPES: Readonly<Record<string, GpuInstanceFacts>> = Object.fromEntries(
  Object.entries(TYPES).map(([type, row]) => [type, factsOf(type, row)]),
);
