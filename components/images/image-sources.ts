/** The files of this package that an image is built from, and the hash that names their content. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A program that has an image. */
export type RuntimeProgram = "service" | "worker";

/** Folder of a program's Dockerfile, relative to the package's root. */
const FOLDER = { service: "services/batch-api", worker: "services/worker" } as const satisfies Record<
  RuntimeProgram,
  string
>;
const SHARED = ["services/protocol", "services/project", "services/backends"];
const FILES = ["package.json", "LICENSE", ".dockerignore"];
/** npm packs no lock beside package.json. The first that is there counts, as in the Dockerfiles. */
const LOCKS = ["package-lock.json", "services/package-lock.json"];
const TAG_DIGITS = 20;

/** The folder that holds package.json and the Dockerfiles: the repository's root, or the installed package's. */
export function packageRoot(from = import.meta.dirname): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, dockerfileOf("service")))) return folder;
    if (folder === dirname(folder)) throw new Error("this package has lost its services/ folder; install it again");
  }
}

/** Path of a program's Dockerfile, relative to the package's root. */
export function dockerfileOf(program: RuntimeProgram): string {
  return `${FOLDER[program]}/Dockerfile`;
}

/** A tag for the content: the same sources and arguments, the same tag, in the repository and in its package. */
export function imageTag(
  program: RuntimeProgram,
  buildArguments: Readonly<Record<string, string>>,
  root = packageRoot(),
): string {
  const hash = createHash("sha256");
  const lock = LOCKS.find((path) => existsSync(join(root, path))) ?? "package-lock.json";
  hash.update(readFileSync(join(root, lock))).update("\0");
  const paths = [...FILES, ...[...SHARED, FOLDER[program]].flatMap((folder) => filesUnder(root, folder))];
  for (const path of paths.filter((each) => existsSync(join(root, each))).sort()) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update("\0");
  }
  hash.update(JSON.stringify(Object.entries(buildArguments).sort()));
  return `sources-${hash.digest("hex").slice(0, TAG_DIGITS)}`;
}

function filesUnder(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("__pycache__"))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}
