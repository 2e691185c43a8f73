/** The package as npm packs it, installed into an empty project, as somebody has it who has no clone of this repository. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");
/** What packing reads. A copy is packed: an edit meanwhile is in the package and in what it is compared with, or in neither. */
const PACKED = [
  ...[".dockerignore", "LICENSE", "README.md", "package.json", "package-lock.json", "requirements-dev.txt"],
  ...["tsconfig.build.json", "tsconfig.json", "bin", "cli", "components", "scripts", "services"],
];
const SET_UP = ["node_modules", ".venv"];
const OUTPUT_BYTES_MAX = 64 << 20;
/** A program that takes longer is ended, so that none outlives its test. */
const RUN_SECONDS = { npm: 500, project: 200 };

export interface InstalledPackage {
  /** The copy of this repository that was packed. */
  readonly source: string;
  /** Of the project that it is installed in. */
  readonly project: string;
  /** Of the package itself. */
  readonly root: string;
  /** Runs a program in the project, as its owner's shell would: none of this repository's tools is on PATH. */
  run(file: string, args: readonly string[]): Promise<Ran>;
  /** Puts what a Pulumi program needs beside it: this repository's own copies, so that there is one of each. */
  linkPulumi(): Promise<void>;
  remove(): Promise<void>;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws {Error} with npm's words, when it cannot pack or install */
export async function installPackage(): Promise<InstalledPackage> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-package-"));
  const [source, project] = [join(folder, "source"), join(folder, "project")];
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    await mkdir(project);
    for (const part of PACKED) await cp(join(REPOSITORY, part), join(source, part), { recursive: true });
    for (const part of SET_UP) await symlink(join(REPOSITORY, part), join(source, part));
    await must(source, "npm", ["pack", "--silent", "--pack-destination", folder]);
    const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz")) ?? "";
    await writeFile(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
    const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    await must(project, "npm", ["install", "--omit=dev", ...quiet, join(folder, tarball)]);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    source,
    project,
    root: join(project, "node_modules", "millrace"),
    run: (file, args) => runIn(project, file, args, RUN_SECONDS.project),
    linkPulumi: () => symlink(join(REPOSITORY, "node_modules", "@pulumi"), join(project, "node_modules", "@pulumi")),
    remove,
  };
}

async function must(folder: string, file: string, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runIn(folder, file, args, RUN_SECONDS.npm);
  if (code !== 0) throw new Error(`${[file, ...args].join(" ")} failed:\n${stdout}${stderr}`);
}

function runIn(folder: string, file: string, args: readonly string[], seconds: number): Promise<Ran> {
  const options = { cwd: folder, env: ownersEnvironment(), maxBuffer: OUTPUT_BYTES_MAX, timeout: seconds * 1000 };
  return new Promise((resolve, reject) => {
    execFile(file, [...args], options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== "number") reject(new Error(`${file}: ${error.message}`));
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Without what `npm run` tells the scripts of this repository, and without its Node. */
function ownersEnvironment(): NodeJS.ProcessEnv {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((each) => !each.includes("node_modules"));
  const environment = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|INIT_CWD|MILLRACE_|NODE_OPTIONS|NODE_ENV)/.test(name),
  );
  return { ...Object.fromEntries(environment), PATH: path.join(delimiter) };
}
