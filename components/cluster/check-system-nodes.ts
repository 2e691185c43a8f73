/** What is wrong with the nodes that are always there. */
import { nearestWord } from "../../services/protocol/nearest-word.ts";
import { CPU_INSTANCE_TYPES } from "../cpu-instance-types.ts";
import type { Faults } from "../faults.ts";
import { GPU_INSTANCE_TYPES } from "../gpu-instance-types.ts";
import { SYSTEM_DEFAULTS, type SystemNodes } from "./system-nodes.ts";

/** A managed node group's own limits: 450 nodes, a disk of EBS. */
const NODES_MAX = 100;
export const DISK_GIB = { min: 20, max: 16_384 } as const;

export function checkSystemNodes(faults: Faults, { instanceType, nodesMin, nodesMax, diskGiB }: SystemNodes): void {
  if (instanceType !== undefined && CPU_INSTANCE_TYPES[instanceType] === undefined) {
    faults.add("systemNodes.instanceType", unknownType(instanceType, { default: SYSTEM_DEFAULTS.instanceType }));
  }
  const atLeast = Math.max(1, Math.min(NODES_MAX, nodesMin ?? 1));
  faults.integer("systemNodes.nodesMin", nodesMin, { min: 1, max: NODES_MAX });
  faults.integer("systemNodes.nodesMax", nodesMax, { min: Number.isInteger(atLeast) ? atLeast : 1, max: NODES_MAX });
  faults.integer("systemNodes.diskGiB", diskGiB, DISK_GIB);
}

/** Why a type is none of the CPU table. */
export function unknownType(type: string, fix: { readonly default: string }): string {
  const found = `is ${JSON.stringify(type)}`;
  if (GPU_INSTANCE_TYPES[type] !== undefined)
    return `${found}, which has GPUs; write a type without, such as "${fix.default}"`;
  const nearest = nearestWord(type, Object.keys(CPU_INSTANCE_TYPES)) ?? fix.default;
  return `${found}, which is not in the table of instance types; write "${nearest}", or another of components/cpu-instance-types.ts`;
}
