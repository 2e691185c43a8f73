/** Outputs of recorded resources: what the program gave, with its secrets, and beneath it what a provider adds. */
import { computedOutputs } from "../../components/support/computed-outputs.ts";
import type { ResourceFacts } from "./pulumi-resource-facts.ts";
import { isProperties, plainProperties, SIGNATURE, UNKNOWN, type Properties, type Value } from "./pulumi-values.ts";

export interface Resource {
  readonly type: string;
  /** Its name in the program. */
  readonly name: string;
  /** As the engine sent them, secrets marked. */
  readonly inputs: Properties;
}

/** @param unique digits that are another's for each resource ever made, as in the ids of a cloud */
export function madeOf({ type, name, inputs }: Resource, unique: string): { id: string; outputs: Properties } {
  const { id, ...computed } = computedOutputs(type, `${name}-${unique}`, plainProperties(inputs));
  const outputs = type === "aws:eks/cluster:Cluster" ? { ...clusterOutputs(name, inputs), ...computed } : computed;
  return { id, outputs: merged(asProperties(outputs), inputs, false) };
}

/** The same as a preview knows it: what the provider adds is unknown. */
export function previewOfMaking(resource: Resource): Properties {
  const { outputs } = madeOf(resource, "preview");
  return merged(outputs, resource.inputs, true);
}

/** Outputs after an update: what was computed stays, apart from what changes with each update. */
export function updated(
  facts: ResourceFacts,
  before: { readonly inputs: Properties; readonly outputs: Properties },
  inputs: Properties,
  preview: boolean,
): Properties {
  const computed = without(before.outputs, before.inputs);
  const changed = facts.changed?.(plainProperties(inputs), plainProperties(before.outputs)) ?? {};
  const unknown = Object.fromEntries(Object.keys(changed).map((key) => [key, UNKNOWN]));
  return merged({ ...computed, ...(preview ? unknown : changed) }, inputs, false);
}

/** What the EKS component says of the cluster within it. */
function clusterOutputs(name: string, inputs: Properties): object {
  return computedOutputs("eks:index:Cluster", name, plainProperties(inputs))["eksCluster"] as object;
}

/** Without what JSON cannot hold. */
function asProperties(outputs: object): Properties {
  return JSON.parse(JSON.stringify(outputs)) as Properties;
}

function isObject(value: Value | undefined): value is Properties {
  return isProperties(value) && !(SIGNATURE in value);
}

function merged(computed: Properties, inputs: Properties, addedIsUnknown: boolean): Properties {
  const keys = new Set([...Object.keys(computed), ...Object.keys(inputs)]);
  return Object.fromEntries(
    [...keys].map((key) => [key, mergedValue(computed[key], inputs[key], addedIsUnknown)] as const),
  );
}

function mergedValue(computed: Value | undefined, input: Value | undefined, addedIsUnknown: boolean): Value {
  if (input === undefined) return addedIsUnknown ? UNKNOWN : (computed ?? null);
  if (isObject(computed) && isObject(input)) return merged(computed, input, addedIsUnknown);
  if (Array.isArray(computed) && Array.isArray(input) && computed.length === input.length) {
    const added = computed as readonly Value[];
    return (input as readonly Value[]).map((value, at) => mergedValue(added[at], value, addedIsUnknown));
  }
  return input;
}

/** What the outputs hold beside the inputs that they were made of. */
function without(outputs: Properties, inputs: Properties): Properties {
  const left = Object.entries(outputs).map(([key, value]) => [key, withoutValue(value, inputs[key])] as const);
  return Object.fromEntries(left.filter((entry): entry is [string, Value] => entry[1] !== undefined));
}

function withoutValue(output: Value, input: Value | undefined): Value | undefined {
  if (input === undefined) return output;
  if (isObject(output) && isObject(input)) return without(output, input);
  if (!Array.isArray(output) || !Array.isArray(input) || output.length !== input.length) return undefined;
  const given = input as readonly Value[];
  return (output as readonly Value[]).map((value, at) => withoutValue(value, given[at]) ?? null);
}
