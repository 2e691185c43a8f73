/**
 * From a parsed YAML value to an `ApiSpec`: `millrace.yaml` here, `cortex.yaml` in `api-spec.cortex.ts`. All faults at once,
 * by the names that the file used.
 */
import { apiNameFault, isReservedApiName } from "./api-names.ts";
import { parsePod } from "./api-spec.container.ts";
import type { ApiSpec, ComputeSpec, PythonHandlerSpec } from "./api-spec.ts";
import { parseEnv, parseQuantities } from "./api-spec.values.ts";
import { Fields, found } from "./fields.ts";
import { LIMITS } from "./limits.ts";
import type { Fault } from "./problems.ts";

export type SpecParsed =
  | {
      readonly kind: "spec";
      readonly spec: ApiSpec;
      /** What the file says that has no effect here, in sentences. */
      readonly warnings: readonly string[];
    }
  | { readonly kind: "faults"; readonly faults: readonly Fault[] };

export const SPEC_DEFAULTS = {
  workers: 1,
  batchSize: 32,
  processes: 1,
  logLevel: "info",
  cortexDialect: "0.42",
  dependencies: { pip: "requirements.txt", conda: "conda-packages.txt", shell: "dependencies.sh" },
} as const;

const PROCESSES_MAX = 256;
/** Of the worker itself, whose containers say what they need. */
export const NO_COMPUTE: ComputeSpec = { cpu: null, mem: null, gpu: 0 };

/** Parses the value of a `millrace.yaml`. */
export function parseMillraceSpec(value: unknown): SpecParsed {
  const faults: Fault[] = [];
  const fields = new Fields(value, "", faults);
  if (faults.length > 0) return { kind: "faults", faults };
  const name = parseName(fields);
  fields.oneOf("kind", ["BatchAPI"]);
  const { handler, compute, env } = parseRunning(fields);
  const config = fields.record("config") ?? {};
  const defaults = parseJobDefaults(fields);
  fields.end();
  if (faults.length > 0) return { kind: "faults", faults };
  return {
    kind: "spec",
    spec: { name, handler, compute, config, env, ...defaults, cortex_project: false },
    warnings: [],
  };
}

/** The API's name, faults noted; "" when there is none. */
export function parseName(fields: Fields): string {
  const name = fields.text("name");
  if (name === undefined) {
    if (fields.raw("name") === undefined) fields.fault("name", "nothing", "give the API a name, like word-count");
    return "";
  }
  const fault = apiNameFault(name);
  if (fault !== undefined) fields.fault("name", fault.found, fault.fix);
  if (isReservedApiName(name))
    fields.fault("name", `${found(name)}, a word of the service's own addresses`, "choose another");
  return name;
}

/** The class of a project, or containers, whose environment and compute stand with each of them. */
function parseRunning(fields: Fields): Pick<ApiSpec, "handler" | "compute" | "env"> {
  if (fields.raw("pod") === undefined) {
    return {
      handler: parsePython(fields.object("handler")),
      compute: parseCompute(fields.object("compute")),
      env: parseEnv(fields, "env"),
    };
  }
  if (fields.raw("handler") !== undefined) fields.fault("pod", "this beside handler", "keep one of the two");
  for (const name of ["compute", "env"]) {
    if (fields.raw(name) === undefined) continue;
    fields.fault(name, "this beside pod", `give each container its own: pod.containers[0].${name}`);
  }
  const handler = parsePod(fields.object("pod"), { cpuDefault: null });
  return { handler, compute: NO_COMPUTE, env: {} };
}

function parsePython(fields: Fields): PythonHandlerSpec {
  fields.oneOf("type", ["python"]);
  const path = parseHandlerPath(fields);
  const pythonPath = parseProjectPath(fields, "python_path") ?? null;
  const processes = fields.integer("processes", { min: 1, max: PROCESSES_MAX }) ?? SPEC_DEFAULTS.processes;
  const logLevel = parseLogLevel(fields);
  const dependencies = parseDependencies(fields.object("dependencies"));
  fields.end();
  return { kind: "python", path, python_path: pythonPath, processes, log_level: logLevel, dependencies };
}

export function parseLogLevel(fields: Fields): PythonHandlerSpec["log_level"] {
  return fields.oneOf("log_level", ["debug", "info", "warning", "error"]) ?? SPEC_DEFAULTS.logLevel;
}

/** The file of the handler class; "" when it is missing or wrong. */
export function parseHandlerPath(fields: Fields): string {
  const path = parseProjectPath(fields, "path");
  if (path === undefined) {
    if (fields.raw("path") === undefined) {
      fields.fault("path", "nothing", "name the Python file that holds the handler class, like handler.py");
    }
    return "";
  }
  if (path.endsWith(".pickle"))
    fields.fault("path", `${found(path)}, a pickled class, which does not run yet`, "give the .py file");
  else if (!path.endsWith(".py")) fields.fault("path", found(path), "name a .py file");
  return path;
}

/** A path inside the project, without `./` before or `/` behind. */
export function parseProjectPath(fields: Fields, name: string): string | undefined {
  const text = fields.text(name);
  if (text === undefined) return undefined;
  const segments = text.split("/").filter((segment, index) => segment !== "." && (segment !== "" || index === 0));
  if (!text.startsWith("/") && !segments.includes("..") && !/[\\\0]/.test(text)) return segments.join("/");
  fields.fault(name, found(text), 'give a path inside the project, with "/" between folders');
  return undefined;
}

export function parseDependencies(fields: Fields): PythonHandlerSpec["dependencies"] {
  const pip = parseProjectPath(fields, "pip") ?? SPEC_DEFAULTS.dependencies.pip;
  const conda = parseProjectPath(fields, "conda") ?? SPEC_DEFAULTS.dependencies.conda;
  const shell = parseProjectPath(fields, "shell") ?? SPEC_DEFAULTS.dependencies.shell;
  fields.end();
  return { pip, conda, shell };
}

function parseCompute(fields: Fields): ComputeSpec {
  const compute = parseQuantities(fields);
  fields.end();
  return compute;
}

export type JobDefaults = Pick<
  ApiSpec,
  "workers" | "batch_size" | "attempts" | "isolate" | "batch_timeout_seconds" | "cortex_dialect"
>;

/** What a submission that does not say gets. These fields may stand in a `cortex.yaml` as well. */
export function parseJobDefaults(fields: Fields): JobDefaults {
  return {
    workers: fields.integer("workers", { min: 1, max: LIMITS.workersMax }) ?? SPEC_DEFAULTS.workers,
    batch_size: fields.integer("batch_size", { min: 1, max: LIMITS.batchSizeMax }) ?? SPEC_DEFAULTS.batchSize,
    attempts: fields.integer("attempts", { min: 1, max: LIMITS.attemptsMax }) ?? LIMITS.attemptsDefault,
    isolate: fields.boolean("isolate") ?? true,
    batch_timeout_seconds: fields.integer("batch_timeout", { min: 1, max: LIMITS.batchTimeoutSecondsMax }) ?? null,
    cortex_dialect: parseDialect(fields),
  };
}

function parseDialect(fields: Fields): string {
  const value = fields.raw("cortex_dialect") ?? SPEC_DEFAULTS.cortexDialect;
  // An unquoted 0.40 is the number 0.4 in YAML.
  const text = typeof value === "number" ? value.toFixed(2) : value;
  if (typeof text === "string" && /^0\.(19|[23]\d|4[0-2])$/.test(text)) return text;
  fields.fault("cortex_dialect", found(value), 'write a version of Cortex from "0.19" to "0.42"');
  return SPEC_DEFAULTS.cortexDialect;
}
