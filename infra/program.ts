/** The whole stack, as a list of components: the architecture's picture. What may differ between stacks is in `config.ts`. */
import { join } from "node:path";
import { BatchApi, BatchCluster, BatchStore, CpuNodeGroup, GpuNodeGroup } from "../components/index.ts";
import type { StackConfig } from "./config.ts";

// Pulumi runs a program in the folder of its entry, which is not the root
const EXAMPLES = join(import.meta.dirname, "..", "examples");

export function program({ apiServer, capacity, cluster, cpuNodes, gpuNodes, image, keep, reads }: StackConfig) {
  // jobs, results and code: they outlive everything below
  const store = new BatchStore("store", { forceDestroy: !keep }, { protect: keep });

  const batch = new BatchCluster("batch", { store, apiServer, ...cluster });

  const cpus = new CpuNodeGroup("cpus", { cluster: batch, capacity, ...cpuNodes });

  const fileTypes = new BatchApi("file-types", {
    cluster: batch,
    runsOn: [cpus],
    code: { kind: "project", path: join(EXAMPLES, "file-types") },
    compute: { cpu: "1", memory: "2Gi" },
    reads,
    image,
  });

  if (gpuNodes === undefined) return { bucket: store.bucketName, connect: fileTypes.connect };

  const gpus = new GpuNodeGroup("gpus", { cluster: batch, capacity, ...gpuNodes });

  const gpuCheck = new BatchApi("gpu-check", {
    cluster: batch,
    runsOn: [gpus],
    code: { kind: "project", path: join(EXAMPLES, "gpu-check") },
    overrides: { config: { required: true } },
    image,
  });

  return { bucket: store.bucketName, connect: fileTypes.connect, connectGpu: gpuCheck.connect };
}
