/** A project as somebody deploys it: its files and its spec, or what is wrong with them in words for whoever deploys. */
import { ProjectInvalid, readArchive } from "../../project/project-files.ts";
import type { ProjectFiles } from "../../project/project-files.ts";
import { readProjectSpec } from "../../project/project-spec.ts";
import type { ApiSpec } from "../../protocol/api-spec.ts";
import { Problem } from "../../protocol/problems.ts";

/** Throws `Problem`. */
export async function readProject(archive: Buffer): Promise<ProjectFiles> {
  try {
    return await readArchive(archive);
  } catch (error) {
    if (!(error instanceof ProjectInvalid)) throw error;
    const code = error.tooLarge ? "project_too_large" : "project_invalid";
    throw new Problem(code, error.message, [], { cause: error });
  }
}

/** Throws `Problem`; what is odd is told by `progress`. */
export function readSpec(files: ProjectFiles, api: string, progress: (sentence: string) => void): ApiSpec {
  const read = readProjectSpec(files, api);
  if (read.kind === "missing") {
    const detail =
      "The project has neither millrace.yaml nor cortex.yaml at its root; add a millrace.yaml with name and handler.";
    throw new Problem("project_spec_missing", detail);
  }
  if (read.kind === "faults") {
    const faults = read.faults.map((fault) => ({ ...fault, field: fault.field === "" ? read.file : fault.field }));
    throw new Problem("project_spec_invalid", "", faults);
  }
  for (const warning of read.warnings) progress(`${read.file}: ${warning}`);
  return read.spec;
}
