/** Reads a `cortex.yaml` (a list of APIs) of versions 0.19 to 0.42 as an `ApiSpec`. */
import { parsePod } from "./api-spec.container.ts";
import type { ApiSpec, PythonHandlerSpec } from "./api-spec.ts";
import {
  NO_COMPUTE,
  SPEC_DEFAULTS,
  parseDependencies,
  parseHandlerPath,
  parseJobDefaults,
  parseLogLevel,
  parseName,
  parseProjectPath,
} from "./api-spec.parse.ts";
import type { SpecParsed } from "./api-spec.parse.ts";
import { parseEnv, parseQuantities } from "./api-spec.values.ts";
import { Fields, found, isRecord } from "./fields.ts";
import type { Fault } from "./problems.ts";

type Chosen =
  | { readonly kind: "api"; readonly index: number; readonly value: unknown }
  | { readonly kind: "fault"; readonly fault: Fault };

interface Reading {
  readonly fields: Fields;
  readonly warnings: string[];
}

/** Parses the value of a `cortex.yaml`. `wanted` names one of its APIs; undefined: its only batch API. */
export function parseCortexSpec(value: unknown, wanted?: string): SpecParsed {
  const chosen = chooseApi(value, wanted);
  if (chosen.kind === "fault") return { kind: "faults", faults: [chosen.fault] };
  const faults: Fault[] = [];
  const reading: Reading = { fields: new Fields(chosen.value, `[${String(chosen.index)}]`, faults), warnings: [] };
  const spec = readApi(reading);
  if (faults.length > 0) return { kind: "faults", faults };
  return { kind: "spec", spec, warnings: reading.warnings };
}

function chooseApi(value: unknown, wanted: string | undefined): Chosen {
  if (!Array.isArray(value) || value.length === 0) {
    return fault(found(value), 'write a list of APIs ("- name: …")');
  }
  const apis = value.map((api: unknown, index) => ({
    kind: "api" as const,
    index,
    value: api,
    name: isRecord(api) && typeof api.name === "string" ? api.name : "",
    batch: isRecord(api) && (api.kind ?? "BatchAPI") === "BatchAPI",
  }));
  const names = (list: typeof apis) => list.map((api) => api.name || `[${String(api.index)}]`).join(", ");
  if (wanted !== undefined) {
    const named = apis.find((api) => api.name === wanted);
    return named ?? fault(`no API ${found(wanted)}`, `name one of ${names(apis)}`);
  }
  const batch = apis.filter((api) => api.batch);
  const [only, second] = batch;
  if (only === undefined) return apis[0] ?? fault("an empty list", "write an API");
  if (second !== undefined) return fault(`${String(batch.length)} batch APIs`, `name one of ${names(batch)}`);
  return only;
}

function fault(found: string, fix: string): Chosen {
  return { kind: "fault", fault: { field: "", found, fix } };
}

function readApi(reading: Reading): ApiSpec {
  const { fields } = reading;
  const name = parseName(fields);
  const kind = fields.text("kind");
  if (kind !== undefined && kind !== "BatchAPI") {
    fields.fault("kind", found(kind), "write BatchAPI: only batch APIs run here");
  }
  readNetworking(reading, name);
  ignored(reading, "node_groups", "the machine of the service runs the workers");
  const { handler, compute, config, env } = readRunning(reading);
  const defaults = parseJobDefaults(fields);
  fields.end();
  return { name, handler, compute, config, env, ...defaults, cortex_project: true };
}

/** The one of `handler` (0.34 on), `predictor` (before) and `pod` (0.36 on) that is there. */
function readRunning(reading: Reading): Pick<ApiSpec, "handler" | "compute" | "config" | "env"> {
  const { fields, warnings } = reading;
  const sections = ["pod", "predictor", "handler"].filter((name) => fields.raw(name) !== undefined);
  const [section = "handler", second] = sections;
  if (second !== undefined) fields.fault(section, `this beside ${second}`, "keep one of the two");
  if (section === "pod") return { handler: readPod(reading), compute: NO_COMPUTE, config: {}, env: {} };
  const compute = readCompute({ ...reading, fields: fields.object("compute") });
  return { ...readPython({ fields: fields.object(section), warnings }), compute };
}

/** A container that does not say gets what it got there. */
const CONTAINER_CPU = "200m";

function readPod({ fields }: Reading): ApiSpec["handler"] {
  return parsePod(fields.object("pod"), { cpuDefault: CONTAINER_CPU, compute: refuseInferentia });
}

function readPython(reading: Reading): Pick<ApiSpec, "handler" | "config" | "env"> {
  const { fields } = reading;
  const type = fields.oneOf("type", ["python", "tensorflow", "onnx"]);
  if (type !== undefined && type !== "python") {
    const fix = "load the model in a Python class for now (type: python)";
    fields.fault("type", `${type}, which does not run yet`, fix);
  }
  refuseUnsupported(fields, type ?? "python");
  ignored(reading, "image", "the handler runs in this machine's Python with the project's requirements");
  ignored(reading, "tensorflow_serving_image", "no TensorFlow Serving is started");
  ignored(reading, "shm_size", "the handler sees the machine's own shared memory");
  const handler: PythonHandlerSpec = {
    kind: "python",
    path: parseHandlerPath(fields),
    python_path: parseProjectPath(fields, "python_path") ?? null,
    processes: SPEC_DEFAULTS.processes,
    log_level: parseLogLevel(fields),
    dependencies: parseDependencies(fields.object("dependencies")),
  };
  const config = fields.record("config") ?? {};
  const env = parseEnv(fields, "env");
  fields.end();
  return { handler, config, env };
}

const MODEL_FIELDS = ["model_path", "models", "multi_model_reloading", "signature_key"] as const;

/** What the predecessor refused for batch APIs as well, and what needs a model server. */
function refuseUnsupported(fields: Fields, type: string): void {
  for (const name of MODEL_FIELDS) {
    if (fields.raw(name) !== undefined && type === "python") {
      fields.fault(name, "a model, which is not loaded for you", "load it in __init__ and give its path in config");
    }
  }
  for (const name of ["processes_per_replica", "threads_per_process"]) {
    const value = fields.raw(name);
    if (value === undefined || value === 1) continue;
    fields.fault(name, found(value), "write 1, as batch APIs always had to, and submit with more workers");
  }
  for (const name of ["server_side_batching", "protobuf_path"]) {
    if (fields.raw(name) !== undefined) fields.fault(name, "what batch APIs never had", "remove it");
  }
}

function readCompute(reading: Reading): ApiSpec["compute"] {
  const { fields } = reading;
  const compute = parseQuantities(fields);
  refuseInferentia(fields);
  ignored(reading, "node_groups", "the machine of the service runs the workers");
  ignored(reading, "shm", "the handler sees the machine's own shared memory");
  fields.end();
  return compute;
}

function refuseInferentia(fields: Fields): void {
  const inferentia = fields.raw("inf");
  if (inferentia === undefined || inferentia === 0) return;
  fields.fault("inf", found(inferentia), "remove it: no worker has Inferentia chips");
}

function readNetworking(reading: Reading, name: string): void {
  const fields = reading.fields.object("networking");
  const endpoint = fields.text("endpoint");
  if (endpoint !== undefined && endpoint.replace(/^\/?/, "/") !== `/${name}`) {
    reading.warnings.push(`${fields.path}.endpoint has no effect here: the API answers at /${name}.`);
  }
  ignored({ ...reading, fields }, "api_gateway", "the API answers at the service's own address");
  fields.end();
}

function ignored(reading: Reading, name: string, reason: string): void {
  if (reading.fields.raw(name) === undefined) return;
  reading.warnings.push(`${reading.fields.path}.${name} has no effect here: ${reason}.`);
}
