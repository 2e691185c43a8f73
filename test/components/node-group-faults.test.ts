import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import type { BatchCluster } from "../../components/batch-cluster.ts";
import { CpuNodeGroup } from "../../components/cpu-node-group.ts";
import { GpuNodeGroup } from "../../components/gpu-node-group.ts";
import type { WorkerNodeGroupArgs } from "../../components/worker-node-group.ts";
import { render } from "./support/render.ts";

const CLASSES = { GpuNodeGroup, CpuNodeGroup } as const;
const FIRST = { GpuNodeGroup: ["g6.xlarge"], CpuNodeGroup: ["m7i.xlarge"] } as const;

/** As somebody's settings may come, unchecked by a compiler. */
type Unchecked = { readonly [field in keyof WorkerNodeGroupArgs]?: unknown };

async function faultsOf(of: keyof typeof CLASSES, args: Unchecked, name = "pool"): Promise<readonly string[]> {
  const all = { cluster: {} as BatchCluster, instanceTypes: FIRST[of], nodesMax: 4, ...args };
  const rendered = render(() => new CLASSES[of](name, all as WorkerNodeGroupArgs));
  const thrown = await rendered.then(() => undefined).catch((error: unknown) => error);
  if (!(thrown instanceof Error)) throw new Error("nothing was refused");
  if (!pulumi.InputPropertyError.isInstance(thrown) && !pulumi.InputPropertiesError.isInstance(thrown)) throw thrown;
  return thrown.message.split("\n").map((line) => line.replace(`${of} "${name}": `, ""));
}

describe("GpuNodeGroup refuses", () => {
  const golden: readonly (readonly [Unchecked, ...string[]])[] = [
    [{ instanceTypes: [] }, 'instanceTypes is empty; write one type or more, such as "g6.xlarge"'],
    [
      { instanceTypes: ["g6.xlrge"] },
      'instanceTypes[0] is "g6.xlrge", which is not in the table of instance types; write "g6.xlarge", or another of components/gpu-instance-types.ts',
    ],
    [
      { instanceTypes: ["g6.xlarge", "m7i.xlarge"] },
      'instanceTypes[1] is "m7i.xlarge", which has no GPU; write a type that has, such as "g6.xlarge", or use CpuNodeGroup',
    ],
    [
      { instanceTypes: ["g6.xlarge", "g6.2xlarge"] },
      'instanceTypes[1] is "g6.2xlarge" (8 vCPU, 32 GiB, amd64, 1 GPU of 24 GiB), and "g6.xlarge" has another shape (4 vCPU, 16 GiB, amd64, 1 GPU of 24 GiB): the autoscaler plans with the first alone. Write types of one shape, and another group for the rest',
    ],
    [
      { instanceTypes: ["g4dn.xlarge", "g5.xlarge"] },
      'instanceTypes[1] is "g5.xlarge" (4 vCPU, 16 GiB, amd64, 1 GPU of 24 GiB), and "g4dn.xlarge" has another shape (4 vCPU, 16 GiB, amd64, 1 GPU of 16 GiB): the autoscaler plans with the first alone. Write types of one shape, and another group for the rest',
    ],
    [{ nodesMax: 0 }, "nodesMax is 0; write a whole number from 1 to 450"],
    [{ nodesMax: 2.5 }, "nodesMax is 2.5; write a whole number from 1 to 450"],
    [{ nodesMin: -1 }, "nodesMin is -1; write a whole number from 0 to 450"],
    [{ nodesMin: 5 }, "nodesMin is 5, more than nodesMax, which is 4; lower it, or raise nodesMax"],
    [{ diskGiB: 10 }, "diskGiB is 10; write a whole number from 20 to 16,384"],
    [{ priority: 10 }, "priority is 10; write a whole number from 1 to 9"],
    [{ capacity: "SPOT" }, 'capacity is "SPOT"; write "onDemand" or "spot"'],
    [
      { labels: { "millrace/node-group": "other" } },
      'labels["millrace/node-group"] is written by the group itself; leave it out',
    ],
    [
      { labels: { "acme.com/pool": "my pool" } },
      'labels["acme.com/pool"] is no label of Kubernetes: acme.com/pool=my pool; write letters, digits, "-", "_" and ".", at most 63',
    ],
    [
      { taints: [{ key: "acme.com/x", value: "y", effect: "NoExecute" }] },
      'taints[0].effect is "NoExecute"; write "NoSchedule", the one that the autoscaler is told',
    ],
    [
      { taints: [{ key: "a b", value: "y", effect: "NoSchedule" }] },
      'taints[0] is no taint of Kubernetes: a b=y; write letters, digits, "-", "_" and ".", at most 63',
    ],
    [
      { amiType: "BOTTLEROCKET_x86_64_NVIDA" },
      'amiType is "BOTTLEROCKET_x86_64_NVIDA", which is no kind of image of EKS; write "BOTTLEROCKET_x86_64_NVIDIA": one of BOTTLEROCKET_x86_64_NVIDIA, AL2023_x86_64_NVIDIA',
    ],
    [
      { amiType: "BOTTLEROCKET_x86_64" },
      'amiType is "BOTTLEROCKET_x86_64", and these nodes need an image with NVIDIA\'s drivers for amd64; write one of BOTTLEROCKET_x86_64_NVIDIA, AL2023_x86_64_NVIDIA',
    ],
    [
      { instanceTypes: ["g5g.xlarge"], amiType: "AL2023_x86_64_NVIDIA" },
      'amiType is "AL2023_x86_64_NVIDIA", and these nodes need an image with NVIDIA\'s drivers for arm64; write one of BOTTLEROCKET_ARM_64_NVIDIA, AL2023_ARM_64_NVIDIA',
    ],
    [
      { instanceTypes: ["x"], nodesMax: 0 },
      'instanceTypes[0] is "x", which is not in the table of instance types; write "g6.xlarge", or another of components/gpu-instance-types.ts',
      "nodesMax is 0; write a whole number from 1 to 450",
    ],
  ];

  for (const [args, ...expected] of golden) {
    it(JSON.stringify(args), async () => {
      expect(await faultsOf("GpuNodeGroup", args)).toEqual(expected);
    });
  }

  it.each(["my pool", "", "-a", "a".repeat(41)])("the name %j", async (name) => {
    expect(await faultsOf("GpuNodeGroup", {}, name)).toEqual([
      `name is ${JSON.stringify(name)}; write 1 to 40 letters, digits and "-": nodes carry it as a label`,
    ]);
  });
});

describe("CpuNodeGroup refuses", () => {
  const golden: readonly (readonly [Unchecked, ...string[]])[] = [
    [{ instanceTypes: [] }, 'instanceTypes is empty; write one type or more, such as "m7i.xlarge"'],
    [
      { instanceTypes: ["g6.xlarge"] },
      'instanceTypes[0] is "g6.xlarge", which has GPUs; write a type without, such as "m7i.xlarge", or use GpuNodeGroup',
    ],
    [
      { instanceTypes: ["m7i.xlarge", "m7g.xlarge"] },
      'instanceTypes[1] is "m7g.xlarge" (4 vCPU, 16 GiB, arm64), and "m7i.xlarge" has another shape (4 vCPU, 16 GiB, amd64): the autoscaler plans with the first alone. Write types of one shape, and another group for the rest',
    ],
    [
      { instanceTypes: ["c7i.xlrge"] },
      'instanceTypes[0] is "c7i.xlrge", which is not in the table of instance types; write "c7i.xlarge", or another of components/cpu-instance-types.ts',
    ],
    [
      { amiType: "AL2023_x86_64_NVIDIA" },
      'amiType is "AL2023_x86_64_NVIDIA", and these nodes need an image without NVIDIA\'s drivers, for amd64; write one of BOTTLEROCKET_x86_64, BOTTLEROCKET_x86_64_FIPS, AL2023_x86_64_STANDARD',
    ],
  ];

  for (const [args, ...expected] of golden) {
    it(JSON.stringify(args), async () => {
      expect(await faultsOf("CpuNodeGroup", args)).toEqual(expected);
    });
  }
});
