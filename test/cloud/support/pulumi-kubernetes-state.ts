/** What a stack's state keeps of a Kubernetes object, so that it changes when the object does and not when a controller writes down what it sees. */
import { isProperties, secret, SIGNATURE, valueAt, type Properties, type Value } from "./pulumi-values.ts";

/** The object without its status and without what the API server and controllers note in its metadata; secrets are marked as in the inputs. */
export function stateOf(live: Properties, inputs: Properties): Properties {
  const { status: _status, metadata, ...rest } = live;
  const { name, namespace, uid } = metadata as Properties;
  const given = (valueAt(inputs, "metadata") ?? {}) as Properties;
  const kept = Object.fromEntries(
    ["annotations", "labels"].flatMap((key) => {
      const noted = (metadata as Properties)[key];
      return isProperties(noted) && isProperties(given[key]) ? [[key, onlyKeysOf(noted, given[key])]] : [];
    }),
  );
  const own = { name: name ?? null, ...(namespace === undefined ? {} : { namespace }), uid: uid ?? null, ...kept };
  const state = { ...(marked(rest, inputs) as Properties), metadata: own };
  // base64 hides nothing
  return rest["kind"] === "Secret" && rest["data"] !== undefined ? { ...state, data: secret(rest["data"]) } : state;
}

/** The inputs with what another changed on the live object, and nothing else: a quantity stays as the program wrote it. */
export function driftOf(inputs: Properties, before: Properties, live: Properties): Properties {
  return drifted(inputs, before, live) as Properties;
}

function drifted(input: Value, before: Value | undefined, live: Value | undefined): Value {
  if (JSON.stringify(before) === JSON.stringify(live) || live === undefined) return input;
  if (isObject(input) && isProperties(live)) {
    const was = isProperties(before) ? before : {};
    return Object.fromEntries(
      Object.entries(input).map(([key, value]) => [key, drifted(value, was[key], live[key])] as const),
    );
  }
  return live;
}

function marked(live: Value, input: Value | undefined): Value {
  if (isObject(input) && isProperties(live)) {
    return Object.fromEntries(Object.entries(live).map(([key, value]) => [key, marked(value, input[key])] as const));
  }
  if (Array.isArray(input) && Array.isArray(live)) {
    const given = input as readonly Value[];
    return (live as readonly Value[]).map((value, at) => marked(value, given[at]));
  }
  return isProperties(input) && SIGNATURE in input ? secret(live) : live;
}

function isObject(value: Value | undefined): value is Properties {
  return isProperties(value) && !(SIGNATURE in value);
}

function onlyKeysOf(live: Properties, given: Properties): Properties {
  return Object.fromEntries(Object.entries(live).filter(([key]) => key in given));
}
