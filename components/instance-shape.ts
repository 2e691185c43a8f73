/** What a node of an instance type offers to pods. Shapes decide what fits; a price decides nothing here. */

export type Architecture = "amd64" | "arm64";

/** Facts of an instance type, from AWS's pages of instance types. */
export interface InstanceFacts {
  readonly vcpus: number;
  readonly memoryGiB: number;
  readonly architecture: Architecture;
  /**
   * Pods that its network interfaces have addresses for:
   * https://github.com/awslabs/amazon-eks-ami/blob/main/templates/shared/runtime/eni-max-pods.txt
   */
  readonly podsByAddresses: number;
}

/** What the workers of a node group may count on. Types of one group have one shape: the autoscaler plans with the first. */
export interface InstanceShape {
  /** GPUs of a node; 0 for CPU groups. */
  readonly gpus: number;
  /** Memory of each GPU as its maker names it, in GiB; drivers take some of it. 0 without GPUs. */
  readonly gpuMemoryGiB: number;
  readonly vcpus: number;
  readonly memoryGiB: number;
  readonly architecture: Architecture;
  /** What is left for pods of ours beside the kubelet and the DaemonSets of the add-ons. Estimated low: a pod that fits here fits there. */
  readonly allocatable: Allocatable;
}

export interface Allocatable {
  /** Thousandths of a processor. */
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly pods: number;
}

/** What the hypervisor, the kernel and page tables take of the memory that a type is sold with; Karpenter reckons with the same. */
const MEMORY_OVERHEAD = 0.075;

/** Requests of the add-ons' DaemonSets on each node (network, proxy, Pod Identity, node monitoring with DCGM), rounded up. */
const ADD_ONS: Allocatable = { cpuMillis: 250, memoryMiB: 300, pods: 5 };

/**
 * What the kubelet of a node offers, add-ons included: what the autoscaler must believe of a node that is not there yet.
 * Reserved as EKS's images do: https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html
 */
export function kubeletAllocatable({ vcpus, memoryGiB, podsByAddresses }: InstanceFacts): Allocatable {
  const reservedMillis =
    60 + 10 * Math.min(1, vcpus - 1) + 5 * Math.max(0, Math.min(2, vcpus - 2)) + 2.5 * Math.max(0, vcpus - 4);
  const reservedMiB = 255 + 11 * podsByAddresses + 100;
  return {
    cpuMillis: Math.floor(vcpus * 1000 - reservedMillis),
    memoryMiB: Math.floor(memoryGiB * 1024 * (1 - MEMORY_OVERHEAD) - reservedMiB),
    // managed node groups allow no more: https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html#max-pods-precedence
    pods: Math.min(podsByAddresses, vcpus < 30 ? 110 : 250),
  };
}

/** @param gpu what its GPUs are; left out for types without */
export function shapeOf(
  facts: InstanceFacts,
  gpu: { readonly gpus: number; readonly gpuMemoryGiB: number } = { gpus: 0, gpuMemoryGiB: 0 },
): InstanceShape {
  const kubelet = kubeletAllocatable(facts);
  return {
    ...{ gpus: gpu.gpus, gpuMemoryGiB: gpu.gpuMemoryGiB },
    ...{ vcpus: facts.vcpus, memoryGiB: facts.memoryGiB, architecture: facts.architecture },
    allocatable: {
      cpuMillis: kubelet.cpuMillis - ADD_ONS.cpuMillis,
      memoryMiB: kubelet.memoryMiB - ADD_ONS.memoryMiB,
      pods: kubelet.pods - ADD_ONS.pods,
    },
  };
}

/** In words, for messages: `4 vCPU, 16 GiB, amd64, 1 GPU of 24 GiB`. */
export function shapeInWords({ vcpus, memoryGiB, architecture, gpus, gpuMemoryGiB }: InstanceShape): string {
  const gpu = gpus === 0 ? "" : `, ${String(gpus)} GPU${gpus === 1 ? "" : "s"} of ${String(gpuMemoryGiB)} GiB`;
  return `${String(vcpus)} vCPU, ${String(memoryGiB)} GiB, ${architecture}${gpu}`;
}
