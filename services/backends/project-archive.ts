/** Packs a project's folder by the ignore rules of contract.md C.2, and unpacks archives for the workers of a machine. */
import { lstat, mkdir, mkdtemp, readFile, readdir, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, parse, relative, sep } from "node:path";
import ignore from "ignore";
import type { Ignore } from "ignore";

import { LIMITS } from "../protocol/limits.ts";
import { ProjectInvalid, packFiles, readArchive, sha256Hex } from "./project-files.ts";
import type { ProjectFile, ProjectFiles } from "./project-files.ts";

export interface PackedProject {
  readonly archive: Buffer;
  readonly sha256: string;
  readonly files: ProjectFiles;
}

/** Files at the root that are packed whatever the rules say: the API spec, and the handler's environment variables. */
const ALWAYS_PACKED: readonly string[] = ["millrace.yaml", "cortex.yaml", ".env"];
const IGNORE_FILES: readonly string[] = [".cortexignore", ".millraceignore"];
/** In gitignore syntax. A later line of an ignore file cannot bring these back. */
const NEVER_PACKED = [".*", "*.pyc", "*.pyo", "*.pyd", "__pycache__", "cortex-debug-*"];
const LARGEST_NAMED = 5;

/**
 * Packs the folder of a project. A link to a file inside the project is packed as that file; any other link is refused, as
 * its target would be missing in the archive. `home` is refused, and so is the root folder: nobody means those.
 * Throws `ProjectInvalid`.
 */
export async function packProject(folder: string, home: string): Promise<PackedProject> {
  const root = await existingFolder(folder);
  if (root === parse(root).root || root === (await realpath(home).catch(() => home))) {
    throw new ProjectInvalid(`${folder} is your home folder or the root folder. Move the project into its own folder.`);
  }
  const walk: Walk = { root, rules: await readRules(root), found: [] };
  await visit(walk, "");
  refuseLarge(walk.found);
  const files = new Map<string, ProjectFile>();
  for (const { path, executable } of walk.found)
    files.set(path, { bytes: await readFile(join(root, path)), executable });
  const archive = await packFiles(files);
  return { archive, sha256: sha256Hex(archive), files };
}

async function existingFolder(folder: string): Promise<string> {
  const facts = await stat(folder).catch(() => undefined);
  if (facts?.isDirectory() === true) return realpath(folder);
  const found = facts === undefined ? "does not exist" : "is not a folder";
  throw new ProjectInvalid(`${folder} ${found}. Name the folder that holds millrace.yaml.`);
}

interface Walk {
  readonly root: string;
  readonly rules: { readonly fixed: Ignore; readonly own: Ignore };
  readonly found: { readonly path: string; readonly sizeBytes: number; readonly executable: boolean }[];
}

async function readRules(root: string): Promise<Walk["rules"]> {
  const own = ignore();
  for (const name of IGNORE_FILES) own.add(await readFile(join(root, name), "utf8").catch(() => ""));
  return { fixed: ignore().add(NEVER_PACKED), own };
}

async function visit(walk: Walk, folder: string): Promise<void> {
  const entries = await readdir(join(walk.root, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (!isPacked(walk, path, entry.isDirectory())) continue;
    if (entry.isDirectory()) await visit(walk, path);
    else if (entry.isFile() || entry.isSymbolicLink()) await take(walk, path);
    if (walk.found.length > LIMITS.projectFilesMax) throw manyFiles(walk);
  }
}

function isPacked(walk: Walk, path: string, isFolder: boolean): boolean {
  if (ALWAYS_PACKED.includes(path)) return !isFolder;
  const judged = isFolder ? `${path}/` : path;
  return !walk.rules.fixed.ignores(judged) && !walk.rules.own.ignores(judged);
}

async function take(walk: Walk, path: string): Promise<void> {
  const absolute = join(walk.root, path);
  if ((await lstat(absolute)).isSymbolicLink()) await refuseLeavingLink(walk, path);
  const facts = await stat(absolute);
  walk.found.push({ path, sizeBytes: facts.size, executable: (facts.mode & 0o100) !== 0 });
}

async function refuseLeavingLink(walk: Walk, path: string): Promise<void> {
  const fix = "Copy the file into the project, or leave the link out with a .millraceignore.";
  const target = await realpath(join(walk.root, path)).catch(() => undefined);
  if (target === undefined) throw new ProjectInvalid(`${path} is a link that leads nowhere. ${fix}`);
  const inside = relative(walk.root, target);
  const leaves = inside === "" || inside === ".." || inside.startsWith(`..${sep}`);
  if (leaves) throw new ProjectInvalid(`${path} is a link that leads out of the project. ${fix}`);
  if (!(await stat(target)).isFile()) throw new ProjectInvalid(`${path} is a link to a folder. ${fix}`);
}

function refuseLarge(found: Walk["found"]): void {
  const totalBytes = found.reduce((sum, file) => sum + file.sizeBytes, 0);
  if (totalBytes <= LIMITS.projectBytesMax) return;
  const largest = [...found].sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, LARGEST_NAMED);
  const named = largest.map((file) => `${file.path} (${mebibytes(file.sizeBytes)})`).join(", ");
  throw new ProjectInvalid(
    `The project has ${mebibytes(totalBytes)}; at most ${mebibytes(LIMITS.projectBytesMax)} are allowed. ` +
      `Its largest files: ${named}. Leave data and models out with a .millraceignore, and load them in __init__.`,
    { tooLarge: true },
  );
}

function manyFiles(walk: Walk): ProjectInvalid {
  const counts = new Map<string, number>();
  for (const { path } of walk.found) {
    const top = path.includes("/") ? `${path.slice(0, path.indexOf("/"))}/` : ".";
    counts.set(top, (counts.get(top) ?? 0) + 1);
  }
  const [folder] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? ["."];
  return new ProjectInvalid(
    `The project has more than ${String(LIMITS.projectFilesMax)} files, most of them in ${folder}. ` +
      `Leave what the handler does not need out with a .millraceignore.`,
    { tooLarge: true },
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

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
