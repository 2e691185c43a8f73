/** What is wrong with a group of worker nodes, told from its plain values. */
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { CPU_INSTANCE_TYPES } from "../cpu-instance-types.ts";
import { Faults } from "../faults.ts";
import { GPU_INSTANCE_TYPES } from "../gpu-instance-types.ts";
import { shapeInWords } from "../instance-shape.ts";
import {
  ACCELERATOR_LABEL,
  GROUP_DEFAULTS,
  shapeOfTypes,
  type WorkerNodeGroup,
  type WorkerNodeGroupArgs,
} from "../worker-node-group.ts";
import { PRIORITY } from "./autoscaler.ts";
import { DISK_GIB, unknownType } from "./check-system-nodes.ts";
import { AMI_TYPES, NODE_GROUP_LABEL } from "./node-template.ts";

/** EKS's limit of nodes in a managed node group ("Service quotas for Amazon EKS"). */
const NODES_MAX = 450;
/** A label's value; priority and what Pulumi draws make the group's own name longer, 63 at most. */
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_]{0,38}[A-Za-z0-9])?$/;
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

type Kind = WorkerNodeGroup["kind"];

/** Throws with all that plain values tell. */
export function checkNodeGroupArgs(className: string, kind: Kind, name: string, args: WorkerNodeGroupArgs): void {
  const faults = new Faults(`${className} "${name}"`);
  if (!NAME.test(name)) {
    faults.add("name", `is ${JSON.stringify(name)}; write 1 to 40 letters, digits and "-": nodes carry it as a label`);
  }
  const typesAreKnown = checkInstanceTypes(faults, kind, args.instanceTypes);
  checkSizes(faults, args);
  checkLabels(faults, args);
  if (args.amiType !== undefined)
    checkAmiType(faults, kind, args.amiType, typesAreKnown ? args.instanceTypes : undefined);
  faults.throwIfAny();
}

/** @returns whether the shape of the group can be told */
function checkInstanceTypes(faults: Faults, kind: Kind, types: readonly string[]): boolean {
  const example = kind === "gpu" ? "g6.xlarge" : "m7i.xlarge";
  if (types.length === 0) faults.add("instanceTypes", `is empty; write one type or more, such as "${example}"`);
  const known = kind === "gpu" ? GPU_INSTANCE_TYPES : CPU_INSTANCE_TYPES;
  const unknown = [...types.entries()].filter(([, type]) => known[type] === undefined);
  for (const [at, type] of unknown) {
    const reason = kind === "gpu" ? notGpu(type) : notCpu(type);
    faults.add(`instanceTypes[${String(at)}]`, reason);
  }
  if (types.length === 0 || unknown.length > 0) return false;
  const [first = ""] = types;
  const shape = shapeInWords(shapeOfTypes(types));
  for (const [at, type] of types.entries()) {
    const other = shapeInWords(shapeOfTypes([type]));
    if (other === shape) continue;
    faults.add(
      `instanceTypes[${String(at)}]`,
      `is "${type}" (${other}), and "${first}" has another shape (${shape}): the autoscaler plans with the first alone. Write types of one shape, and another group for the rest`,
    );
  }
  return true;
}

function notGpu(type: string): string {
  const found = `is ${JSON.stringify(type)}`;
  if (CPU_INSTANCE_TYPES[type] !== undefined)
    return `${found}, which has no GPU; write a type that has, such as "g6.xlarge", or use CpuNodeGroup`;
  const nearest = nearestWord(type, Object.keys(GPU_INSTANCE_TYPES)) ?? "g6.xlarge";
  return `${found}, which is not in the table of instance types; write "${nearest}", or another of components/gpu-instance-types.ts`;
}

function notCpu(type: string): string {
  const reason = unknownType(type, { default: "m7i.xlarge" });
  return GPU_INSTANCE_TYPES[type] === undefined ? reason : `${reason}, or use GpuNodeGroup`;
}

function checkSizes(
  faults: Faults,
  { nodesMin = GROUP_DEFAULTS.nodesMin, nodesMax, priority, diskGiB, capacity }: WorkerNodeGroupArgs,
): void {
  faults.integer("nodesMax", nodesMax, { min: 1, max: NODES_MAX });
  faults.integer("nodesMin", nodesMin, { min: 0, max: NODES_MAX });
  if (nodesMin > nodesMax) {
    faults.add(
      "nodesMin",
      `is ${String(nodesMin)}, more than nodesMax, which is ${String(nodesMax)}; lower it, or raise nodesMax`,
    );
  }
  faults.integer("priority", priority, PRIORITY);
  faults.integer("diskGiB", diskGiB, DISK_GIB);
  if (capacity !== undefined && !["onDemand", "spot"].includes(capacity)) {
    faults.add("capacity", `is ${JSON.stringify(capacity)}; write "onDemand" or "spot"`);
  }
}

function checkLabels(faults: Faults, { labels = {}, taints = [] }: WorkerNodeGroupArgs): void {
  for (const [key, value] of Object.entries(labels)) {
    if (key === NODE_GROUP_LABEL || key === ACCELERATOR_LABEL) {
      faults.add(`labels["${key}"]`, "is written by the group itself; leave it out");
    } else if (!LABEL_KEY.test(key) || !LABEL_VALUE.test(value)) {
      faults.add(
        `labels["${key}"]`,
        `is no label of Kubernetes: ${key}=${value}; write letters, digits, "-", "_" and ".", at most 63`,
      );
    }
  }
  for (const [at, { key, value, effect }] of taints.entries()) {
    const field = `taints[${String(at)}]`;
    if (!LABEL_KEY.test(key) || !LABEL_VALUE.test(value)) {
      faults.add(
        field,
        `is no taint of Kubernetes: ${key}=${value}; write letters, digits, "-", "_" and ".", at most 63`,
      );
    } else if ((effect as string) !== "NoSchedule") {
      faults.add(
        `${field}.effect`,
        `is ${JSON.stringify(effect)}; write "NoSchedule", the one that the autoscaler is told`,
      );
    }
  }
}

function checkAmiType(faults: Faults, kind: Kind, amiType: string, types: readonly string[] | undefined): void {
  const fits = (name: string) => {
    const facts = AMI_TYPES[name];
    const architecture = types === undefined ? facts?.architecture : shapeOfTypes(types).architecture;
    return facts?.gpus === (kind === "gpu") && facts.architecture === architecture;
  };
  if (fits(amiType)) return;
  const fitting = Object.keys(AMI_TYPES).filter(fits);
  const found = `is ${JSON.stringify(amiType)}`;
  if (AMI_TYPES[amiType] === undefined) {
    const nearest = nearestWord(amiType, fitting);
    faults.add(
      "amiType",
      `${found}, which is no kind of image of EKS; write ${nearest === undefined ? "" : `"${nearest}": `}one of ${fitting.join(", ")}`,
    );
  } else {
    const what = kind === "gpu" ? "with NVIDIA's drivers for " : "without NVIDIA's drivers, for ";
    faults.add(
      "amiType",
      `${found}, and these nodes need an image ${what}${types === undefined ? "their architecture" : shapeOfTypes(types).architecture}; write one of ${fitting.join(", ")}`,
    );
  }
}
