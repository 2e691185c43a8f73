import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { realClock } from "../../services/backends/clock.real.ts";
import { runCommand } from "../../services/backends/command-lines.ts";
import { EnvironmentFailed } from "../../services/backends/environments.ts";
import { environmentPython } from "../../services/backends/environment-python.ts";
import { VenvEnvironments } from "../../services/backends/environments.venv.ts";
import { SPEC_DEFAULTS } from "../../services/protocol/api-spec.parse.ts";
import { buildWheel } from "../support/python-wheel.ts";
import { aProject } from "../support/project-folder.ts";

const { dependencies } = SPEC_DEFAULTS;
let root: string;
let wheels: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "millrace-environments-"));
  wheels = join(root, "wheels");
  await buildWheel(wheels, "greeting", "1.2.0", "WORD = 'hello'\n");
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

function environments(python = "python3"): VenvEnvironments {
  // No index: nothing of these tests may need the network.
  const env = { ...process.env, PIP_NO_INDEX: "1", PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: "/dev/null" };
  return new VenvEnvironments({ root, python, env, clock: realClock });
}

async function pythonSays(key: string | null, program: string): Promise<string> {
  const lines: string[] = [];
  const file = environmentPython(root, key ?? "");
  const signal = new AbortController().signal;
  await runCommand({ file, args: ["-c", program], cwd: root, env: process.env }, (line) => lines.push(line), signal);
  return lines.join("\n");
}

async function failureOf(promise: Promise<unknown>): Promise<EnvironmentFailed> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EnvironmentFailed)) throw new Error("expected EnvironmentFailed", { cause: error });
  return error;
}

describe("VenvEnvironments", () => {
  it("makes nothing for a project that asks for nothing", async () => {
    const files = aProject({ "handler.py": "", "requirements.txt": "# nothing yet\n\n" });

    expect(await environments().build(files, dependencies, () => undefined)).toBeNull();
  });

  it("installs the requirements, says so in sentences, and is silent the second time", async () => {
    const files = aProject({ "requirements.txt": "greeting==1.2.0\n" });
    const said: string[] = [];
    const key = await environments().build(files, dependencies, (sentence) => said.push(sentence));
    const saidAgain: string[] = [];
    const again = await environments().build(files, dependencies, (sentence) => saidAgain.push(sentence));

    expect(await pythonSays(key, "import greeting; print(greeting.WORD)")).toBe("hello");
    expect(said.map((sentence) => sentence.replaceAll(/3\.\d+\.\d+|\d+\.\d+ s/g, "N"))).toEqual([
      "making a Python N environment (once: it is kept for later uses)",
      "resolving 1 line of requirements.txt",
      "installing 1 package: greeting 1.2.0",
      "the environment is ready: 1 packages in N",
    ]);
    expect(again).toBe(key);
    expect(saidAgain).toEqual([]);
  }, 60_000);

  it("names the requirement that does not exist, and leaves nothing that looks ready", async () => {
    const files = aProject({ "requirements.txt": "greeting==9.9\n" });
    const failed = await failureOf(environments().build(files, dependencies, () => undefined));

    expect(failed.message).toMatch(
      /^requirements\.txt: found greeting==9\.9, which does not exist for Python 3\.\d+\.\d+; there are 1\.2\.0\.$/,
    );
    expect(failed.outputTail).toContain("No matching distribution found for greeting==9.9");
    const [key] = await readdir(join(root, "environments"));
    const left = await readdir(join(root, "environments", key ?? ""));
    expect(left.filter((name) => !name.startsWith("turn."))).toEqual([]);
  }, 60_000);

  it("tells the last lines of a dependencies.sh that fails", async () => {
    const files = aProject({ "dependencies.sh": "echo before\nls --no-such-option\necho after\n" });
    const failed = await failureOf(environments().build(files, dependencies, () => undefined));

    expect(failed.message).toBe("dependencies.sh: it ended with code 2; mend the line that its output names.");
    expect(failed.outputTail).toMatch(/^before\n.*no-such-option/);
  }, 60_000);

  it("shares one build between two builders", async () => {
    const files = aProject({ "requirements.txt": "greeting\n", "dependencies.sh": `echo run >> ${root}/runs\n` });
    const said: string[] = [];
    const keys = await Promise.all(
      [1, 2].map(() => environments().build(files, dependencies, (sentence) => said.push(sentence))),
    );

    expect(keys[0]).toBe(keys[1]);
    expect(said.filter((sentence) => sentence.startsWith("making"))).toHaveLength(1);
    expect(said).toContain("waiting for the same environment, which is being made already");
  }, 60_000);

  it("builds anew after a builder was killed, and never takes its leftover for an environment", async () => {
    const files = aProject({ "requirements.txt": "greeting\n", "dependencies.sh": `[ -e ${root}/go ] || sleep 20\n` });
    const builder = spawn(
      process.execPath,
      [join(import.meta.dirname, "../support/build-environment.ts"), root, wheels],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    builder.stdin.end(JSON.stringify([...files].map(([path, file]) => [path, file.bytes.toString()])));
    await once(builder.stdout, "data");
    builder.kill("SIGKILL");
    await once(builder, "exit");
    const [key = ""] = await readdir(join(root, "environments"));
    await expect(access(environmentPython(root, key))).rejects.toThrow();

    await writeFile(join(root, "go"), "");
    expect(await environments().build(files, dependencies, () => undefined)).toBe(key);
    expect(await pythonSays(key, "import greeting; print(greeting.WORD)")).toBe("hello");
  }, 60_000);

  it("says what to do when the Python does not run", async () => {
    const files = aProject({ "requirements.txt": "greeting\n" });

    const missing = await failureOf(environments("no-such-python").build(files, dependencies, () => undefined));
    expect(missing.message).toBe(
      "MILLRACE_PYTHON: the command no-such-python cannot be started. Install Python 3.9 to 3.13, or name one in MILLRACE_PYTHON.",
    );
    const wrong = await failureOf(environments("true").build(files, dependencies, () => undefined));
    expect(wrong.message).toContain("the command true is no Python 3.");
  });
});
