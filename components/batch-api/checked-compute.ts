/** Whether a worker fits on the nodes that it is to run on. */
import { bytesOf, CPUS, MEMORY } from "../../services/protocol/api-spec.values.ts";
import type { BatchApiArgs } from "../batch-api-args.ts";
import type { Faults } from "../faults.ts";
import { shapeInWords } from "../instance-shape.ts";
import type { CheckedProject } from "./checked-project.ts";
import type { Compute } from "./worker-template.ts";

const MIB = 1024 * 1024;
const GPUS_MAX = 64;

/** The worker's compute; what does not fit goes to `faults` under `compute`, or under `code.path` when the project asks for it. */
export function checkedCompute(
  { compute = {}, runsOn = [], image }: Pick<BatchApiArgs, "compute" | "runsOn" | "image">,
  project: CheckedProject | undefined,
  faults: Faults,
): Compute {
  checkAmounts(compute, faults);
  const architectures = new Set(runsOn.map(({ shape }) => shape.architecture));
  if (architectures.size > 1 && image?.worker === undefined) {
    faults.add(
      "runsOn",
      "mixes amd64 and arm64, and one image is built; keep one architecture, or give image.worker for both",
    );
  }
  const onGpus = runsOn.length > 0 && runsOn.every(({ kind }) => kind === "gpu");
  const asked = project?.spec.handler.kind === "python" ? project.spec.compute : undefined;
  const gpus = compute.gpus ?? (asked === undefined || asked.gpu === 0 ? undefined : asked.gpu);
  const settled: Compute = gpus === undefined && onGpus && asked !== undefined ? { ...compute, gpus: 1 } : compute;
  const whole = {
    cpu: compute.cpu ?? asked?.cpu,
    memory: compute.memory ?? asked?.mem,
    gpus: settled.gpus ?? gpus ?? 0,
  };
  for (const [at, group] of runsOn.entries()) {
    const node = `runsOn[${String(at)}] (${group.groupName}: ${shapeInWords(group.shape)})`;
    const { allocatable } = group.shape;
    if (whole.gpus > 0 && group.kind === "cpu") {
      faults.add(
        "compute.gpus",
        `is ${String(whole.gpus)}, and ${node} has none; use a GpuNodeGroup, or ask for no GPU`,
      );
    } else if (whole.gpus > group.shape.gpus) {
      faults.add(
        "compute.gpus",
        `is ${String(whole.gpus)}, more than a node of ${node} has; ask for fewer, or use larger nodes`,
      );
    }
    const memoryMiB =
      whole.memory === undefined || whole.memory === null || !MEMORY.shape.test(whole.memory)
        ? 0
        : bytesOf(whole.memory) / MIB;
    if (memoryMiB > allocatable.memoryMiB) {
      const most = `${String(allocatable.memoryMiB)}Mi`;
      faults.add(
        "compute.memory",
        `is ${whole.memory ?? ""}, and a node of ${node} leaves ${most} to workers; ask for less, or use larger nodes`,
      );
    }
    if (cpuMillisOf(whole.cpu ?? "0") > allocatable.cpuMillis) {
      const most = `${String(allocatable.cpuMillis)}m`;
      faults.add(
        "compute.cpu",
        `is ${whole.cpu ?? ""}, and a node of ${node} leaves ${most} to workers; ask for less, or use larger nodes`,
      );
    }
  }
  return settled;
}

function checkAmounts(compute: Compute, faults: Faults): void {
  faults.onlyKnown("compute", compute, ["cpu", "memory", "gpus", "sharedMemory"]);
  faults.integer("compute.gpus", compute.gpus, { min: 0, max: GPUS_MAX });
  for (const property of ["memory", "sharedMemory"] as const) {
    const amount = compute[property];
    if (amount === undefined || (MEMORY.shape.test(amount) && bytesOf(amount) > 0)) continue;
    faults.add(`compute.${property}`, `is "${amount}"; write ${MEMORY.expected}`);
  }
  if (compute.cpu !== undefined && !(CPUS.shape.test(compute.cpu) && Number.parseFloat(compute.cpu) > 0)) {
    faults.add("compute.cpu", `is "${compute.cpu}"; write a number of processors like 2, 0.5 or 500m, as text`);
  }
}

function cpuMillisOf(cpu: string): number {
  return CPUS.shape.test(cpu) ? Number.parseFloat(cpu) * (cpu.endsWith("m") ? 1 : 1000) : 0;
}
