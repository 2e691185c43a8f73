/**
 * Environments: a handler's installed dependencies, an artefact that is made once per (content of the files that ask for
 * them, Python, machine) and shared by all versions, jobs and workers that need the same. Workers never install anything.
 */
import { posix } from "node:path";

import type { PythonHandlerSpec } from "../protocol/api-spec.ts";
import { sha256Hex } from "./project-files.ts";
import type { ProjectFiles } from "./project-files.ts";

export type Dependencies = PythonHandlerSpec["dependencies"];

export interface Environments {
  /**
   * Makes the environment that a project's files ask for, or finds it made, and answers its key; null when they ask for
   * nothing. `progress` gets a sentence now and then; a second use is silent and needs no network. Builders of one key, in
   * any number of processes, share one build. Throws `EnvironmentFailed`; rejects with the signal's reason when it aborts.
   */
  build(
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal?: AbortSignal,
  ): Promise<string | null>;
}

/** The environment cannot be made. `message` is a sentence for the project's author. */
export class EnvironmentFailed extends Error {
  override readonly name = "EnvironmentFailed";
  /** The last lines that the installer printed, credentials masked; may be empty. */
  readonly outputTail: string;

  constructor(message: string, outputTail = "", cause?: unknown) {
    super(message, { cause });
    this.outputTail = outputTail;
  }
}

/** What the base of an environment is: a venv of one Python does not run on another. */
export interface PythonFacts {
  /** Absolute path of the interpreter. */
  readonly executable: string;
  /** Like `3.11.7`. */
  readonly version: string;
  /** Implementation, platform and install prefix, in one text. */
  readonly base: string;
}

const KEY_FORMAT = 1;
/** Half a sha256: paths of scripts in an environment stay short enough for a shebang line. */
const KEY_CHARACTERS = 32;

/** The files among `dependencies` that are there and ask for something. */
export function askingFiles(files: ProjectFiles, dependencies: Dependencies): Partial<Dependencies> {
  const asking = Object.entries(dependencies).filter(([, path]) => meaningfulLines(files, path).length > 0);
  return Object.fromEntries(asking);
}

/** Lines of a file that are neither blank nor a comment. */
export function meaningfulLines(files: ProjectFiles, path: string): string[] {
  const text = files.get(path)?.bytes.toString("utf8") ?? "";
  return text.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.trim().startsWith("#"));
}

/** What no builder here can do, told before any begins. Throws `EnvironmentFailed`. */
export function refuseWhatDoesNotWork(files: ProjectFiles, asking: Partial<Dependencies>): void {
  if (asking.conda !== undefined) {
    const fix = "put what PyPI has into requirements.txt, and leave the file out with a .millraceignore";
    throw new EnvironmentFailed(`${asking.conda}: conda packages are not installed here; ${fix}.`);
  }
  const lines = asking.pip === undefined ? [] : meaningfulLines(files, asking.pip);
  const editable = lines.find((line) => /^\s*(-e|--editable)\b(?!.*\w+\+\w+:)/.test(line));
  if (editable === undefined) return;
  const fix = "an environment is kept without the project's folder; write the path alone";
  throw new EnvironmentFailed(`${asking.pip ?? ""}: found ${JSON.stringify(editable.trim())}; ${fix}.`);
}

/** The key of the environment that these files ask for; null when they ask for nothing. */
export function environmentKey(files: ProjectFiles, dependencies: Dependencies, python: PythonFacts): string | null {
  const asking = askingFiles(files, dependencies);
  const roots = Object.values(asking);
  if (roots.length === 0) return null;
  const contents = namedFiles(files, roots).map((path) => [path, sha256Hex(files.get(path)?.bytes ?? "")]);
  const { version, base } = python;
  return sha256Hex(JSON.stringify([KEY_FORMAT, version, base, asking, contents])).slice(0, KEY_CHARACTERS);
}

/**
 * All files that installing can read: the given ones and what their text names, however deep (`-r more.txt`, `./vendored`,
 * `.`). Too many only cost a rebuild; one too few would serve an old environment.
 */
function namedFiles(files: ProjectFiles, roots: readonly string[]): string[] {
  const named = new Set<string>();
  const waiting = [...roots];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (named.has(path)) continue;
    named.add(path);
    if (!/\.(txt|in|sh|toml|cfg)$/.test(path) && !roots.includes(path)) continue;
    waiting.push(...namedIn(files, path));
  }
  return [...named].sort();
}

function namedIn(files: ProjectFiles, path: string): string[] {
  const text = files.get(path)?.bytes.toString("utf8") ?? "";
  const tokens = new Set(text.split(/[\s=,;'"()[\]@]+/).map((token) => token.replace(/^(-[rce]|file:)/, "")));
  const found: string[] = [];
  for (const token of tokens) {
    if (token === "" || token.startsWith("/")) continue;
    for (const folder of new Set([".", posix.dirname(path)])) {
      const target = posix.join(folder, token).replace(/\/$/, "");
      if (files.has(target)) found.push(target);
      else if (target === ".") found.push(...files.keys());
      else if (/[./]/.test(token)) found.push(...[...files.keys()].filter((name) => name.startsWith(`${target}/`)));
    }
  }
  return found;
}
