/** Looks at the Python that environments and handlers are to run on. */
import { runCommand } from "./command-lines.ts";
import { EnvironmentFailed } from "./environments.ts";
import type { PythonFacts } from "../project/environment-key.ts";

const OLDEST_MINOR = 9;
const PROGRAM = [
  "import json, platform, sys, sysconfig",
  "facts = [sys.executable, platform.python_version(), sys.version_info[:2],",
  "  ' '.join([sys.implementation.cache_tag or '', sysconfig.get_platform(), sys.base_prefix])]",
  "print(json.dumps(facts))",
].join("\n");

/** Asks a Python command who it is. Throws `EnvironmentFailed` when it does not run or is older than 3.9. */
export async function pythonFacts(
  command: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<PythonFacts> {
  const fix = "Install Python 3.9 to 3.13, or name one in MILLRACE_PYTHON";
  const lines: string[] = [];
  const asked = { file: command, args: ["-I", "-c", PROGRAM], cwd: "/", env };
  const end = await runCommand(asked, (line) => lines.push(line), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new EnvironmentFailed(`MILLRACE_PYTHON: the command ${command} cannot be started. ${fix}.`, "", error);
  });
  const last = lines.at(-1) ?? "";
  if (end.exitCode !== 0 || !last.startsWith("[")) {
    throw new EnvironmentFailed(`MILLRACE_PYTHON: the command ${command} is no Python 3. ${fix}.`, lines.join("\n"));
  }
  const [executable, version, [major, minor], base] = JSON.parse(last) as [string, string, [number, number], string];
  if (major !== 3 || minor < OLDEST_MINOR) {
    throw new EnvironmentFailed(`MILLRACE_PYTHON: the command ${command} is Python ${version}. ${fix}.`);
  }
  return { executable, version, base };
}
