/** Unpacks a project's archive for the workers of a machine. */
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { ProjectInvalid, readArchive, sha256Hex, type ProjectFiles } from "../project/project-files.ts";

/**
 * The folder that holds an archive's files: `<folder>/<sha256>`. It is made once and shared by all workers of the machine;
 * any number of processes may ask at the same time, and one that dies leaves nothing that looks complete.
 * Throws `ProjectInvalid`, also when the bytes are not those that `sha256` names.
 */
export async function unpackOnce(folder: string, sha256: string, archive: Buffer): Promise<string> {
  const target = join(folder, sha256);
  if (await isFolder(target)) return target;
  if (sha256Hex(archive) !== sha256) {
    throw new ProjectInvalid("The project archive's bytes are not those of its version. Deploy the project again.");
  }
  const files = await readArchive(archive);
  await mkdir(folder, { recursive: true });
  const partial = await mkdtemp(join(folder, ".unpacking-"));
  await writeFiles(partial, files);
  try {
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Somebody else was first: a folder cannot be renamed over one that has files.
    if (!(await isFolder(target))) throw error;
  }
  return target;
}

/** Writes files into a folder, flushed, so that what is renamed into place afterwards is complete. */
export async function writeFiles(folder: string, files: ProjectFiles): Promise<void> {
  for (const [path, file] of files) {
    const absolute = join(folder, path);
    await mkdir(dirname(absolute), { recursive: true });
    await writeFile(absolute, file.bytes, { flag: "wx", mode: file.executable ? 0o755 : 0o644, flush: true });
  }
}

async function isFolder(path: string): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined);
  return facts?.isDirectory() === true;
}
