/**
 * What names a handler's environment: the content of the files that ask for packages, and what it is built on. Pure, so that
 * a service that builds one and a stack that only names it come to the same key.
 */
import posix from "node:path/posix";
import type { PythonHandlerSpec } from "../protocol/api-spec.ts";
import { sha256Hex, type ProjectFiles } from "./project-files.ts";

export type Dependencies = PythonHandlerSpec["dependencies"];

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

/** What no builder can do, in a sentence for the project's author; undefined: nothing is wrong. */
export function dependencyFault(files: ProjectFiles, dependencies: Dependencies): string | undefined {
  const asking = askingFiles(files, dependencies);
  if (asking.conda !== undefined) {
    const fix = "put what PyPI has into requirements.txt, and leave the file out with a .millraceignore";
    return `${asking.conda}: conda packages are not installed here; ${fix}.`;
  }
  const lines = asking.pip === undefined ? [] : meaningfulLines(files, asking.pip);
  const editable = lines.find((line) => /^\s*(-e|--editable)\b(?!.*\w+\+\w+:)/.test(line));
  if (editable === undefined) return undefined;
  const fix = "an environment is kept without the project's folder; write the path alone";
  return `${asking.pip ?? ""}: found ${JSON.stringify(editable.trim())}; ${fix}.`;
}

/** The key of an environment that is built in a worker image; null when the files ask for nothing. */
export function imageEnvironmentKey(files: ProjectFiles, dependencies: Dependencies, image: string): string | null {
  // What stands for the Python of a machine is the image: the same one has the same Python.
  return environmentKey(files, dependencies, { executable: "", version: "", base: `image ${image}` });
}
