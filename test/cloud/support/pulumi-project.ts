/** A copy of a Pulumi program, in a folder of the test's own: the engine writes beside it, and tests change it. */
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");

export interface ProjectCopy {
  readonly folder: string;
  remove(): Promise<void>;
}

/** @param parts files and folders of `source` to copy; default: all. Packages are this repository's own. */
export async function copyProject(source: string, parts: readonly string[] = ["."]): Promise<ProjectCopy> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-project-"));
  const filter = (path: string) => basename(path) !== "node_modules";
  for (const part of parts) await cp(join(source, part), join(folder, part), { recursive: true, filter });
  await symlink(join(REPOSITORY, "node_modules"), join(folder, "node_modules"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }) };
}
