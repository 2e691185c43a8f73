/** The settings of a stack, from `Pulumi.<stack>.yaml`: read strictly, all faults told at once. */
import * as pulumi from "@pulumi/pulumi";
import type { BatchApiArgs, BatchClusterArgs, CpuNodeGroupArgs, GpuNodeGroupArgs } from "../components/index.ts";
import { Fields } from "../services/protocol/fields.ts";
import { faultSentence, type Fault } from "../services/protocol/problems.ts";

export interface StackConfig {
  /** Networks that may reach the cluster's API server: where `pulumi up` and `millrace connect` run. */
  readonly apiServer: { readonly kind: "public"; readonly cidrs: readonly string[] };
  readonly cluster: Pick<BatchClusterArgs, "kubernetesVersion" | "network" | "systemNodes">;
  readonly capacity: "onDemand" | "spot";
  readonly cpuNodes: Pick<CpuNodeGroupArgs, "instanceTypes" | "nodesMax">;
  /** Undefined: no GPU example. */
  readonly gpuNodes: Pick<GpuNodeGroupArgs, "instanceTypes" | "nodesMax"> | undefined;
  readonly image: NonNullable<BatchApiArgs["image"]>;
  /** True: `pulumi destroy` refuses to remove the store, and a store with objects cannot be removed. */
  readonly keep: boolean;
  /** `s3://` URIs that the examples may read. */
  readonly reads: readonly string[];
}

const SETTINGS = [
  ...["apiServerCidrs", "capacity", "cpuNodes", "gpuNodes", "keep", "kubernetesVersion", "natGateways", "reads"],
  ...["serviceImage", "systemNodes", "workerImage", "zones"],
] as const;
const CPU_DEFAULT = { instanceTypes: ["c7i.xlarge"], nodesMax: 4 };
const NODES = { min: 1, max: 1_000 };

/** Throws one error that names every fault as the settings' file spells it. */
export function readConfig(config: pulumi.Config): StackConfig {
  const faults: Fault[] = [];
  const values = Object.fromEntries(SETTINGS.map((key) => [key, valueOf(config, key)]));
  const fields = new Fields({ ...values, ...unknownSettings(config) }, "", faults);
  const zones = fields.integer("zones", { min: 2, max: 3 }) as 2 | 3 | undefined;
  const natGateways = fields.integer("natGateways", { min: 0, max: 1 }) as 0 | 1 | undefined;
  const version = fields.text("kubernetesVersion");
  const systemNodes = fields.raw("systemNodes");
  const [service, worker] = [fields.text("serviceImage"), fields.text("workerImage")];
  const settled: StackConfig = {
    apiServer: { kind: "public", cidrs: textsOf(fields, "apiServerCidrs", 'such as ["203.0.113.7/32"]', true) },
    cluster: {
      network: {
        kind: "created",
        ...(zones === undefined ? {} : { zones }),
        ...(natGateways === undefined ? {} : { natGateways }),
      },
      ...(version === undefined ? {} : { kubernetesVersion: version }),
      ...(systemNodes === undefined ? {} : { systemNodes: systemNodesOf(systemNodes, faults) }),
    },
    capacity: fields.oneOf("capacity", ["onDemand", "spot"]) ?? "onDemand",
    cpuNodes: nodesOf(fields, "cpuNodes") ?? CPU_DEFAULT,
    gpuNodes: nodesOf(fields, "gpuNodes"),
    image: { ...(service === undefined ? {} : { service }), ...(worker === undefined ? {} : { worker }) },
    keep: fields.boolean("keep") ?? true,
    reads: textsOf(fields, "reads", 'such as ["s3://acme-files/2026/"]', false),
  };
  fields.end();
  if (faults.length > 0) {
    const told = faults.map((fault) => `  ${config.name}:${faultSentence(fault)}`).join("\n");
    throw new pulumi.RunError(`The settings of stack ${pulumi.getStack()} have faults:\n${told}`);
  }
  return settled;
}

/** What YAML says: Pulumi hands lists and objects on as JSON, and scalars as text. */
function valueOf(config: pulumi.Config, key: string): unknown {
  const text = config.get(key);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return key === "kubernetesVersion" && typeof value === "number" ? text : value; // 1.35 is a text to us
  } catch {
    return text;
  }
}

/** Misspelt ones as well: Pulumi tells a program its settings by name alone, so all that it was given are looked through. */
function unknownSettings(config: pulumi.Config): Readonly<Record<string, unknown>> {
  const given = Object.keys(pulumi.runtime.allConfig()).filter((key) => key.startsWith(`${config.name}:`));
  const names = given.map((key) => key.slice(config.name.length + 1));
  return Object.fromEntries(names.filter((name) => !SETTINGS.some((key) => key === name)).map((name) => [name, true]));
}

function textsOf(fields: Fields, name: string, example: string, required: boolean): readonly string[] {
  const value = fields.raw(name);
  if (value === undefined && !required) return [];
  if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string")) return value;
  fields.fault(name, value === undefined ? "nothing" : "something that is no list of texts", `write a list ${example}`);
  return [];
}

function nodesOf(fields: Fields, name: string): StackConfig["cpuNodes"] | undefined {
  const value = fields.raw(name);
  if (value === undefined) return undefined;
  const own = new Fields(value, name, fields.faults);
  const instanceTypes = textsOf(own, "instanceTypes", 'such as ["g6.xlarge"]', true);
  const nodesMax = own.integer("nodesMax", NODES) ?? CPU_DEFAULT.nodesMax;
  own.end();
  return { instanceTypes, nodesMax };
}

function systemNodesOf(value: unknown, faults: Fault[]): NonNullable<BatchClusterArgs["systemNodes"]> {
  const own = new Fields(value, "systemNodes", faults);
  const instanceType = own.text("instanceType");
  const nodesMin = own.integer("nodesMin", NODES);
  const nodesMax = own.integer("nodesMax", NODES);
  own.end();
  return {
    ...(instanceType === undefined ? {} : { instanceType }),
    ...(nodesMin === undefined ? {} : { nodesMin }),
    ...(nodesMax === undefined ? {} : { nodesMax }),
  };
}
