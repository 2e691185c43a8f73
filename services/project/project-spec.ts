/** Finds and reads the API spec among a project's files: the border where YAML text becomes an `ApiSpec`. */
import { parseDocument } from "yaml";

import { parseCortexSpec } from "../protocol/api-spec.cortex.ts";
import { parseMillraceSpec } from "../protocol/api-spec.parse.ts";
import type { SpecParsed } from "../protocol/api-spec.parse.ts";
import type { ApiSpec } from "../protocol/api-spec.ts";
import type { Fault } from "../protocol/problems.ts";
import type { ProjectFiles } from "./project-files.ts";

export type ProjectSpec =
  | {
      readonly kind: "spec";
      readonly spec: ApiSpec;
      /** `millrace.yaml` or `cortex.yaml`. */
      readonly file: string;
      readonly warnings: readonly string[];
    }
  | { readonly kind: "missing" }
  | { readonly kind: "faults"; readonly file: string; readonly faults: readonly Fault[] };

/** What makes a folder a project; the first that is there counts. */
export const PROJECT_FILES: readonly string[] = ["millrace.yaml", "cortex.yaml"];

/** Python files named in a fault about a missing handler. */
const FILES_NAMED = 5;

/**
 * Reads `millrace.yaml`, else `cortex.yaml`, from a project's root. `wanted` is the name of the API that is meant: of several
 * in a `cortex.yaml` it chooses one, and a `millrace.yaml` must have it. Undefined: whichever there is.
 */
export function readProjectSpec(files: ProjectFiles, wanted?: string): ProjectSpec {
  const file = PROJECT_FILES.find((name) => files.has(name));
  const text = file === undefined ? undefined : files.get(file)?.bytes.toString("utf8");
  if (file === undefined || text === undefined) return { kind: "missing" };
  const parsed = parseYaml(text, file, wanted);
  if (parsed.kind === "faults") return { kind: "faults", file, faults: parsed.faults };
  const faults = [...nameFaults(parsed.spec, wanted), ...pathFaults(parsed.spec, files)];
  if (faults.length > 0) return { kind: "faults", file, faults };
  return { kind: "spec", spec: parsed.spec, file, warnings: parsed.warnings };
}

function parseYaml(text: string, file: string, wanted: string | undefined): SpecParsed {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true, stringKeys: true });
  if (document.errors.length > 0) return { kind: "faults", faults: document.errors.map(yamlFault(file)) };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Aliases that multiply (a YAML bomb), or that name nothing.
    const found = error instanceof Error ? error.message : "aliases that do not resolve";
    return { kind: "faults", faults: [{ field: file, found, fix: "write the values out" }] };
  }
  return file === "cortex.yaml" ? parseCortexSpec(value, wanted) : parseMillraceSpec(value);
}

function yamlFault(file: string): (error: { readonly message: string; readonly code: string }) => Fault {
  return (error) => {
    const [first] = error.message.split("\n");
    const found = (first ?? error.code).replace(/:$/, "");
    return { field: file, found: `text that is not YAML (${found})`, fix: "mend that line" };
  };
}

function nameFaults(spec: ApiSpec, wanted: string | undefined): Fault[] {
  if (wanted === undefined || spec.name === wanted) return [];
  return [
    { field: "name", found: `"${spec.name}"`, fix: `deploy it as ${spec.name}, or change the name to ${wanted}` },
  ];
}

function pathFaults(spec: ApiSpec, files: ProjectFiles): Fault[] {
  if (spec.handler.kind !== "python") return [];
  const { path, python_path: pythonPath } = spec.handler;
  const section = spec.cortex_project ? "the handler's path" : "handler.path";
  const faults: Fault[] = [];
  if (!files.has(path)) {
    const python = [...files.keys()].filter((name) => name.endsWith(".py")).slice(0, FILES_NAMED);
    const fix =
      python.length === 0 ? "add that file to the project" : `name a file of the project, like ${python.join(", ")}`;
    faults.push({ field: section, found: `"${path}", which is not among the project's files`, fix });
  }
  const folder = `${pythonPath ?? ""}/`;
  if (pythonPath !== null && pythonPath !== "" && ![...files.keys()].some((name) => name.startsWith(folder))) {
    const field = section.replace("path", "python_path");
    faults.push({
      field,
      found: `"${pythonPath}", which is no folder of the project`,
      fix: "name a folder with Python files",
    });
  }
  return faults;
}
