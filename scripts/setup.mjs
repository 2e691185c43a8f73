// What must be installed before a command may run, and how to tell that it is. Runs on Node 20, before anything is installed:
// plain JavaScript, standard library only.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * @typedef {"running" | "developing"} Purpose What the command needs: "running" the packages that the service itself runs on,
 *   "developing" those of tests and checks too, and the Python tools.
 * @typedef {{version?: string, integrity?: string, dev?: boolean, optional?: boolean, devOptional?: boolean}} LockedPackage
 * @typedef {{packages: Record<string, LockedPackage>}} Lock `package-lock.json`, or npm's own note of what it installed.
 */

/** @type {readonly Purpose[]} */
export const purposes = ["running", "developing"];

/** The oldest Python that the tools of `requirements-dev.txt` and the worker's Python host run on. */
const pythonOldest = /** @type {const} */ ([3, 9]);

/**
 * The packages that the lock asks for and the folder has not, or has in another version. Packages for other machines (optional) are not asked for.
 *
 * @param {Lock} lock
 * @param {Lock} installed
 * @param {Purpose} purpose
 * @returns {string[]} paths as the lock has them, such as `node_modules/fastify`
 */
export function packagesOutOfStep(lock, installed, purpose) {
  return Object.entries(lock.packages)
    .filter(([path, locked]) => {
      if (path === "" || locked.optional === true || locked.devOptional === true) return false;
      if (purpose === "running" && locked.dev === true) return false;
      const found = installed.packages[path];
      return found?.version !== locked.version || found?.integrity !== locked.integrity;
    })
    .map(([path]) => path);
}

/**
 * Installs what is missing for the purpose, with a line for each thing it does; silent and quick when nothing is missing.
 *
 * @param {string} root the repository's folder
 * @param {Purpose} purpose
 * @throws {Error} with the fix, when an installer fails
 */
export function setUp(root, purpose) {
  installPackages(root, purpose);
  if (purpose === "developing") installPythonTools(root);
}

/**
 * The environment in which `node` is the one from npm, and the npm tools come first. The Python tools stay off PATH: handlers under
 * test get the machine's Python, as a user's would.
 *
 * @param {string} root
 * @param {NodeJS.ProcessEnv} environment
 * @returns {NodeJS.ProcessEnv}
 */
export function toolsFirst(root, environment) {
  return {
    ...environment,
    PATH: [join(root, "node_modules", ".bin"), machinesOwn(environment.PATH ?? "")].join(delimiter),
  };
}

/**
 * PATH as the machine has it: `npm run` puts `node_modules/.bin` first, and npm must not run on a Node that it is about to replace.
 *
 * @param {string} path
 * @returns {string}
 */
function machinesOwn(path) {
  return path
    .split(delimiter)
    .filter((folder) => !folder.endsWith(join("node_modules", ".bin")))
    .join(delimiter);
}

/**
 * @param {string} root
 * @param {Purpose} purpose
 */
function installPackages(root, purpose) {
  const why = whyInstall(root, purpose);
  if (why === undefined) return;
  const dev = purpose === "developing" ? [] : ["--omit=dev"];
  // loglevel: npm on Node 20 warns about packages that want a newer Node, which is the one that it installs
  const command = ["npm", "ci", ...dev, "--no-audit", "--no-fund", "--loglevel=error"];
  const packages = purpose === "developing" ? "the Node packages" : "the Node packages that running needs";
  install(root, `${packages}, because ${why}`, command, "see npm's words above; `npm ci` runs it by hand");
  if (!existsSync(nodeBinary(root))) {
    throw new Error(
      "setup: the package `node` has no binary after `npm ci`: its install script did not run. Run `npm rebuild node`.",
    );
  }
}

/**
 * @param {string} root
 * @param {Purpose} purpose
 * @returns {string | undefined}
 */
function whyInstall(root, purpose) {
  const note = join(root, "node_modules", ".package-lock.json"); // npm's list of what it put there, written last
  if (!existsSync(note)) return "node_modules is missing or was left half-made";
  const outOfStep = packagesOutOfStep(readLock(join(root, "package-lock.json")), readLock(note), purpose);
  if (outOfStep.length > 0) return `${String(outOfStep.length)} of them are not as package-lock.json says`;
  return existsSync(nodeBinary(root)) ? undefined : "the binary of `node` is missing";
}

/** @param {string} root */
function nodeBinary(root) {
  return join(root, "node_modules", ".bin", "node");
}

/**
 * @param {string} path
 * @returns {Lock}
 */
function readLock(path) {
  /** @type {unknown} */
  const lock = JSON.parse(readFileSync(path, "utf8"));
  return /** @type {Lock} */ (lock);
}

/** @param {string} root */
function installPythonTools(root) {
  const asked = createHash("sha256")
    .update(readFileSync(join(root, "requirements-dev.txt")))
    .digest("hex");
  const stamp = join(root, ".venv", "installed-requirements.sha256");
  const python = join(root, ".venv", "bin", "python"); // existsSync follows the link: false when the machine's Python has gone
  if (existsSync(python) && existsSync(stamp) && readFileSync(stamp, "utf8") === asked) return;
  refuseOldPython();
  install(
    root,
    "a Python environment in .venv",
    ["python3", "-m", "venv", "--clear", ".venv"],
    "Python needs its venv module",
  );
  const pip = [
    python,
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--requirement",
    "requirements-dev.txt",
  ];
  install(root, "the Python tools of requirements-dev.txt", pip, "see pip's words above");
  writeFileSync(stamp, asked);
}

function refuseOldPython() {
  const asked = spawnSync("python3", ["-c", "import sys; print(*sys.version_info[:2])"], { encoding: "utf8" });
  const [major = 0, minor = 0] = asked.status === 0 ? asked.stdout.trim().split(" ").map(Number) : [];
  if (major > pythonOldest[0] || (major === pythonOldest[0] && minor >= pythonOldest[1])) return;
  const found = asked.status === 0 ? `python3 is ${String(major)}.${String(minor)}` : "there is no python3 on PATH";
  throw new Error(`setup: ${found}. Install Python ${pythonOldest.join(".")} or newer.`);
}

/**
 * @param {string} root
 * @param {string} what
 * @param {string[]} command
 * @param {string} fix
 */
function install(root, what, command, fix) {
  process.stderr.write(`setup: installing ${what}\n`);
  const [file = "", ...args] = command;
  const environment = { ...process.env, PATH: machinesOwn(process.env.PATH ?? "") };
  const ended = spawnSync(file, args, {
    cwd: root,
    env: environment,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (ended.status === 0) return;
  process.stderr.write(ended.stdout + ended.stderr);
  const end = ended.error?.message ?? ended.signal ?? `exit ${String(ended.status)}`;
  throw new Error(`setup: ${command.slice(0, 3).join(" ")} failed (${end}): ${fix}.`);
}
