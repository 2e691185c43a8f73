/** The project that a stack pins, read and judged before anything is declared. */
import { resolve } from "node:path";
import type { ApiSpec } from "../../services/protocol/api-spec.ts";
import { dependencyFault } from "../../services/project/environment-key.ts";
import { ProjectInvalid, type ProjectFiles } from "../../services/project/project-files.ts";
import { readProjectFolder } from "../../services/project/project-folder.ts";
import { readProjectSpec } from "../../services/project/project-spec.ts";
import type { Faults } from "../faults.ts";

export interface CheckedProject {
  readonly files: ProjectFiles;
  readonly spec: ApiSpec;
}

/** Reads a project's folder. What is wrong with it goes to `faults` under `propertyPath`; there is no answer then. */
export function checkedProject(
  path: string,
  api: string,
  propertyPath: string,
  faults: Faults,
): CheckedProject | undefined {
  let files: ProjectFiles;
  try {
    files = readProjectFolder(resolve(path));
  } catch (error) {
    if (!(error instanceof ProjectInvalid)) throw error;
    faults.add(propertyPath, `is no project: ${error.message}`);
    return undefined;
  }
  const read = readProjectSpec(files, api);
  if (read.kind === "missing") {
    const fix = "add a millrace.yaml with name and handler, or name the folder that has it";
    faults.add(propertyPath, `is "${path}", which has neither millrace.yaml nor cortex.yaml; ${fix}`);
    return undefined;
  }
  if (read.kind === "faults") {
    for (const { field, found, fix } of read.faults) {
      faults.add(
        propertyPath,
        `is "${path}", and in its ${read.file} ${field === "" ? "" : `${field}: `}found ${found}; ${fix}`,
      );
    }
    return undefined;
  }
  const { spec } = read;
  const unmade = spec.handler.kind === "python" ? dependencyFault(files, spec.handler.dependencies) : undefined;
  if (unmade !== undefined) faults.add(propertyPath, `is "${path}", which cannot be installed: ${unmade}`);
  return { files, spec };
}
