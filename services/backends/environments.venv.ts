/**
 * Environments on a laptop: virtual environments that Python's own `venv` and `pip` make.
 *
 *     <root>/environments/<key>/current -> <turn>     made last: the environment is complete
 *     <root>/environments/<key>/<turn>/               a venv; venvs do not survive a rename, so each attempt has its own folder
 *     <root>/environments/<key>/turn.<n>              whose turn it is to build (build-turn.ts)
 */
import { mkdir, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";

import { LIMITS } from "../protocol/limits.ts";
import { giveUpTurn, takeTurn } from "./build-turn.ts";
import type { Clock } from "./clock.ts";
import { runCommand } from "./command-lines.ts";
import {
  askingFiles,
  environmentKey,
  meaningfulLines,
  type Dependencies,
  type PythonFacts,
} from "../project/environment-key.ts";
import { EnvironmentFailed, refuseWhatDoesNotWork, type Environments } from "./environments.ts";
import { PipOutput } from "./pip-output.ts";
import { writeFiles } from "./project-archive.ts";
import type { ProjectFiles } from "../project/project-files.ts";
import { pythonFacts } from "./python-facts.ts";

export interface VenvOptions {
  /** Folder of the service's state; environments stand in `environments/` under it. */
  readonly root: string;
  /** Command of the Python to use, like `python3`. */
  readonly python: string;
  /** The environment variables that installers get (proxies, pip's settings, PATH). */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

interface Build {
  readonly files: ProjectFiles;
  readonly asking: Partial<Dependencies>;
  readonly python: PythonFacts;
  /** `<root>/environments/<key>` */
  readonly home: string;
  readonly progress: (sentence: string) => void;
  readonly signal: AbortSignal;
}

const WAIT_MS = 200;

export class VenvEnvironments implements Environments {
  readonly #options: VenvOptions;

  constructor(options: VenvOptions) {
    this.#options = options;
  }

  async build(
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<string | null> {
    const asking = askingFiles(files, dependencies);
    const python = await pythonFacts(this.#options.python, this.#options.env, signal);
    const key = environmentKey(files, dependencies, python);
    if (key === null) return null;
    refuseWhatDoesNotWork(files, dependencies);
    const limit = AbortSignal.timeout(LIMITS.environmentSecondsMax * 1000);
    const home = join(this.#options.root, "environments", key);
    await this.#ensure({ files, asking, python, home, progress, signal: AbortSignal.any([signal, limit]) });
    return key;
  }

  /** Builds when it is this process's turn, waits while it is another's. */
  async #ensure(build: Build): Promise<void> {
    let waited = false;
    while (!(await isMade(build.home))) {
      const turn = await takeTurn(build.home);
      if (turn !== undefined) return this.#inTurn(build, turn);
      if (!waited) build.progress("waiting for the same environment, which is being made already");
      waited = true;
      await this.#options.clock.sleep(WAIT_MS, build.signal);
    }
  }

  async #inTurn(build: Build, turn: number): Promise<void> {
    // Made between the look and the turn.
    if (await isMade(build.home)) return giveUpTurn(build.home, turn);
    const venv = join(build.home, String(turn));
    const project = join(build.home, `${String(turn)}.project`);
    try {
      await removeLeftovers(build.home);
      await mkdir(project);
      await writeFiles(project, build.files);
      await this.#install(build, venv, project);
      const pointer = join(build.home, `.current.${String(turn)}`);
      await symlink(String(turn), pointer);
      await rename(pointer, join(build.home, "current"));
    } catch (error) {
      await rm(venv, { recursive: true, force: true });
      throw error;
    } finally {
      await rm(project, { recursive: true, force: true });
      await giveUpTurn(build.home, turn);
    }
  }

  async #install(build: Build, venv: string, project: string): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs();
    const { asking, python, progress } = build;
    progress(`making a Python ${python.version} environment (once: it is kept for later uses)`);
    const made = new PipOutput(() => undefined);
    const command = { file: python.executable, args: ["-m", "venv", venv], cwd: project, env: this.#env(undefined) };
    const end = await runCommand(command, made.hear.bind(made), build.signal);
    if (end.exitCode !== 0) {
      const fix = "install its venv module (python3-venv), or name another Python in MILLRACE_PYTHON";
      throw new EnvironmentFailed(`${python.executable} could not make a virtual environment; ${fix}.`, made.tail());
    }
    if (asking.shell !== undefined) await this.#runShell(build, asking.shell, venv, project);
    const packages = asking.pip === undefined ? 0 : await this.#runPip(build, asking.pip, venv, project);
    const seconds = ((this.#options.clock.monotonicMs() - startedMs) / 1000).toFixed(1);
    progress(`the environment is ready: ${String(packages)} packages in ${seconds} s`);
  }

  async #runShell(build: Build, file: string, venv: string, project: string): Promise<void> {
    build.progress(`running ${file}`);
    const output = new PipOutput(build.progress);
    const command = { file: "bash", args: ["-e", file], cwd: project, env: this.#env(venv) };
    const end = await runCommand(command, output.hear.bind(output), build.signal);
    if (end.exitCode === 0) return;
    const how = end.exitCode === null ? `signal ${end.signal ?? ""}` : `code ${String(end.exitCode)}`;
    throw new EnvironmentFailed(`${file}: it ended with ${how}; mend the line that its output names.`, output.tail());
  }

  async #runPip(build: Build, file: string, venv: string, project: string): Promise<number> {
    const requirements = meaningfulLines(build.files, file).length;
    build.progress(`resolving ${String(requirements)} ${requirements === 1 ? "line" : "lines"} of ${file}`);
    const output = new PipOutput(build.progress);
    const quiet = ["--disable-pip-version-check", "--no-input", "--no-color", "--progress-bar", "off"];
    const args = ["-m", "pip", "install", ...quiet, "-r", file];
    const command = { file: join(venv, "bin", "python"), args, cwd: project, env: this.#env(venv) };
    const end = await runCommand(command, output.hear.bind(output), build.signal);
    if (end.exitCode === 0) return output.packages;
    throw new EnvironmentFailed(output.cause(file, build.python.version), output.tail());
  }

  #env(venv: string | undefined): Record<string, string | undefined> {
    const { PYTHONHOME: _home, PYTHONPATH: _path, __PYVENV_LAUNCHER__: _launcher, ...env } = this.#options.env;
    // A user-wide install would leave the environment empty.
    const fixed = { ...env, PIP_USER: "0", PYTHONUNBUFFERED: "1" };
    if (venv === undefined) return fixed;
    return { ...fixed, VIRTUAL_ENV: venv, PATH: `${join(venv, "bin")}:${env.PATH ?? ""}` };
  }
}

/** `current` is made last, in one step. */
async function isMade(home: string): Promise<boolean> {
  const facts = await stat(join(home, "current", "bin", "python")).catch(() => undefined);
  return facts !== undefined;
}

/** Attempts of builders that died. Their installers may still run, and write there: nobody reads it. */
async function removeLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!/^\d+(\.project)?$/.test(name)) continue;
    // An installer that still writes can make this fail; the folder is only in the way of the disk, not of us.
    await rm(join(home, name), { recursive: true, force: true }).catch(() => undefined);
  }
}
