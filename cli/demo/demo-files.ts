/** Which files the demo classifies. */
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CliError } from "../cli-error.ts";

export interface DemoFiles {
  readonly paths: readonly string[];
  /** What they are, for a person. */
  readonly what: string;
}

/** About half a minute of work for two workers. */
const FILES_WANTED = 3_600;

/** All of the folder that was given; else packages of `node_modules` until there are enough. */
export async function demoFiles(repository: string, given: string | undefined, folder: string): Promise<DemoFiles> {
  if (given !== undefined) {
    const path = resolve(folder, given);
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() !== true)
      throw new CliError(`FOLDER: ${given} is no folder; name one with files to look into`);
    return { paths: [`${path}/`], what: `all files of ${path}` };
  }
  const modules = join(repository, "node_modules");
  const paths: string[] = [];
  let files = 0;
  for (const path of await packagesOf(modules)) {
    if (files >= FILES_WANTED) break;
    files += await filesUnder(path);
    paths.push(`${path}/`);
  }
  return { paths, what: `the files of ${String(paths.length)} packages in this repository's node_modules` };
}

/** Those without a scope first: they are of many hands, the others of few. */
async function packagesOf(modules: string): Promise<readonly string[]> {
  const names = await foldersIn(modules);
  const scopes = names.filter((name) => name.startsWith("@"));
  const scoped = await Promise.all(
    scopes.map(async (scope) => (await foldersIn(join(modules, scope))).map((name) => join(scope, name))),
  );
  const single = names.filter((name) => !name.startsWith("@"));
  return [...single, ...scoped.flat()].map((name) => join(modules, name));
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name);
  return names.sort();
}

async function filesUnder(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).length;
}
