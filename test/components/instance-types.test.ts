import { describe, expect, it } from "vitest";
import { CPU_INSTANCE_TYPES } from "../../components/cpu-instance-types.ts";
import { GPU_INSTANCE_TYPES } from "../../components/gpu-instance-types.ts";
import { kubeletAllocatable, shapeInWords, shapeOf } from "../../components/instance-shape.ts";

describe("the tables of instance types", () => {
  it("know what GPU types are", () => {
    expect(GPU_INSTANCE_TYPES["g6.xlarge"]).toEqual({
      ...{ vcpus: 4, memoryGiB: 16, architecture: "amd64", podsByAddresses: 58 },
      ...{ gpus: 1, gpuMemoryGiB: 24, accelerator: "nvidia-l4" },
    });
    expect(GPU_INSTANCE_TYPES["p5.48xlarge"]).toMatchObject({ gpus: 8, gpuMemoryGiB: 80, memoryGiB: 2048 });
    expect(GPU_INSTANCE_TYPES["g5g.xlarge"]).toMatchObject({ architecture: "arm64", gpus: 1 });
  });

  it("know what CPU types are", () => {
    expect(CPU_INSTANCE_TYPES["c7g.2xlarge"]).toEqual({
      ...{ vcpus: 8, memoryGiB: 16, architecture: "arm64", podsByAddresses: 58 },
    });
    expect(CPU_INSTANCE_TYPES["m7i.24xlarge"]).toMatchObject({ vcpus: 96, memoryGiB: 384, architecture: "amd64" });
    expect(CPU_INSTANCE_TYPES["r6a.large"]).toMatchObject({ vcpus: 2, memoryGiB: 16 });
    expect(CPU_INSTANCE_TYPES["t4g.small"]).toMatchObject({ memoryGiB: 2, podsByAddresses: 11, architecture: "arm64" });
    expect(CPU_INSTANCE_TYPES).not.toHaveProperty(["m6g.24xlarge"]);
  });

  it("hold no type twice, and no fact that cannot be", () => {
    const [gpu, cpu] = [GPU_INSTANCE_TYPES, CPU_INSTANCE_TYPES].map((table) => Object.keys(table));
    expect(gpu?.filter((type) => cpu?.includes(type))).toEqual([]);
    for (const [type, facts] of [...Object.entries(GPU_INSTANCE_TYPES), ...Object.entries(CPU_INSTANCE_TYPES)]) {
      const { allocatable } = shapeOf(facts);
      expect(allocatable.cpuMillis, type).toBeGreaterThan(1000 * facts.vcpus * 0.8);
      expect(allocatable.cpuMillis, type).toBeLessThan(1000 * facts.vcpus);
      expect(allocatable.memoryMiB, type).toBeGreaterThan(1024 * facts.memoryGiB * 0.5);
      expect(allocatable.memoryMiB, type).toBeLessThan(1024 * facts.memoryGiB);
      expect(allocatable.pods, type).toBeGreaterThan(5);
    }
  });
});

describe("what a node offers", () => {
  // seen on nodes of EKS: what they report, so ours must not be more
  it.each([
    ["t3.medium", { cpuMillis: 1930, memoryMiB: 3308, pods: 17 }],
    ["m7i.xlarge", { cpuMillis: 3920, memoryMiB: 14_660, pods: 58 }],
    ["m7i.16xlarge", { cpuMillis: 63_770, memoryMiB: 245_000, pods: 250 }],
  ])("of %s is never overestimated", (type, seen) => {
    const facts = CPU_INSTANCE_TYPES[type];
    if (facts === undefined) throw new Error(type);

    const told = kubeletAllocatable(facts);

    expect(told.cpuMillis).toBe(seen.cpuMillis);
    expect(told.memoryMiB).toBeLessThanOrEqual(seen.memoryMiB);
    expect(told.memoryMiB).toBeGreaterThan(seen.memoryMiB * 0.9);
    expect(told.pods).toBe(seen.pods);
  });

  it("is less by what the add-ons take on each node", () => {
    const facts = { vcpus: 2, memoryGiB: 4, architecture: "amd64", podsByAddresses: 17 } as const;
    const kubelet = kubeletAllocatable(facts);

    expect(shapeOf(facts).allocatable).toEqual({
      cpuMillis: kubelet.cpuMillis - 250,
      memoryMiB: kubelet.memoryMiB - 300,
      pods: kubelet.pods - 5,
    });
  });

  it("is told in words", () => {
    const facts = { vcpus: 48, memoryGiB: 192, architecture: "amd64", podsByAddresses: 234 } as const;

    expect(shapeInWords(shapeOf(facts))).toBe("48 vCPU, 192 GiB, amd64");
    expect(shapeInWords(shapeOf(facts, { gpus: 4, gpuMemoryGiB: 24 }))).toBe(
      "48 vCPU, 192 GiB, amd64, 4 GPUs of 24 GiB",
    );
    expect(shapeInWords(shapeOf(facts, { gpus: 1, gpuMemoryGiB: 80 }))).toContain(", 1 GPU of 80 GiB");
  });
});
