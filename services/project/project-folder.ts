/**
 * Reads a project's folder by the ignore rules, and packs it. Reading is synchronous, because a Pulumi component must have
 * judged the project before it declares anything; a project is small (`LIMITS.projectBytesMax`).
 */
import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, parse, relative, sep } from "node:path";
import ignore from "ignore";
import type { Ignore } from "ignore";

import { LIMITS } from "../protocol/limits.ts";
import { ProjectInvalid, packFiles, sha256Hex } from "./project-files.ts";
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
 * The files of a project's folder, as its archive holds them. A link to a file inside the project counts as that file; any
 * other link is refused, as its target would be missing in the archive. The root folder is refused, and so is `home`, when
 * it is told: nobody means those. Throws `ProjectInvalid`.
 */
export function readProjectFolder(folder: string, home?: string): ProjectFiles {
  const root = existingFolder(folder);
  if (root === parse(root).root || (home !== undefined && root === realPathOf(home))) {
    throw new ProjectInvalid(`${folder} is your home folder or the root folder. Move the project into its own folder.`);
  }
  const walk: Walk = { root, rules: readRules(root), found: [] };
  visit(walk, "");
  refuseLarge(walk.found);
  return new Map(
    walk.found.map(({ path, executable }): [string, ProjectFile] => {
      return [path, { bytes: readFileSync(join(root, path)), executable }];
    }),
  );
}

/** Packs the folder of a project, read by `readProjectFolder`. Throws `ProjectInvalid`. */
export async function packProject(folder: string, home?: string): Promise<PackedProject> {
  const files = readProjectFolder(folder, home);
  const archive = await packFiles(files);
  return { archive, sha256: sha256Hex(archive), files };
}

function existingFolder(folder: string): string {
  const facts = statSync(folder, { throwIfNoEntry: false });
  if (facts?.isDirectory() === true) return realpathSync(folder);
  const found = facts === undefined ? "does not exist" : "is not a folder";
  throw new ProjectInvalid(`${folder} ${found}. Name the folder that holds millrace.yaml.`);
}

/** Undefined: there is nothing. */
function realPathOf(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : realpathSync(path);
}

interface Walk {
  readonly root: string;
  readonly rules: { readonly fixed: Ignore; readonly own: Ignore };
  readonly found: { readonly path: string; readonly sizeBytes: number; readonly executable: boolean }[];
}

function readRules(root: string): Walk["rules"] {
  const own = ignore();
  for (const name of IGNORE_FILES) {
    const path = join(root, name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) own.add(readFileSync(path, "utf8"));
  }
  return { fixed: ignore().add(NEVER_PACKED), own };
}

function visit(walk: Walk, folder: string): void {
  const entries = readdirSync(join(walk.root, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (!isPacked(walk, path, entry.isDirectory())) continue;
    if (entry.isDirectory()) visit(walk, path);
    else if (entry.isFile() || entry.isSymbolicLink()) take(walk, path);
    if (walk.found.length > LIMITS.projectFilesMax) throw manyFiles(walk);
  }
}

function isPacked(walk: Walk, path: string, isFolder: boolean): boolean {
  if (ALWAYS_PACKED.includes(path)) return !isFolder;
  const judged = isFolder ? `${path}/` : path;
  return !walk.rules.fixed.ignores(judged) && !walk.rules.own.ignores(judged);
}

function take(walk: Walk, path: string): void {
  const absolute = join(walk.root, path);
  if (lstatSync(absolute).isSymbolicLink()) refuseLeavingLink(walk, path);
  const facts = statSync(absolute);
  walk.found.push({ path, sizeBytes: facts.size, executable: (facts.mode & 0o100) !== 0 });
}

function refuseLeavingLink(walk: Walk, path: string): void {
  const fix = "Copy the file into the project, or leave the link out with a .millraceignore.";
  const target = realPathOf(join(walk.root, path));
  if (target === undefined) throw new ProjectInvalid(`${path} is a link that leads nowhere. ${fix}`);
  const inside = relative(walk.root, target);
  const leaves = inside === "" || inside === ".." || inside.startsWith(`..${sep}`);
  if (leaves) throw new ProjectInvalid(`${path} is a link that leads out of the project. ${fix}`);
  if (!statSync(target).isFile()) throw new ProjectInvalid(`${path} is a link to a folder. ${fix}`);
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
