import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { afterEach, describe, expect, it } from "vitest";
import { aProject, isGroupAlive, type Project, rowsOf } from "./python-project.ts";

const HANDLER = `
import os, sys, time
class Handler:
    def __init__(self, config): print("pid", os.getpid(), flush=True)
    def handle_batch(self, payload): return getattr(self, payload[0])(payload)
    def fork(self, payload):
        if os.fork() == 0:
            time.sleep(600)
        return payload
    def leave(self, payload): os._exit(0)
    def fork_and_return(self, payload):
        os.fork()
        return payload
    def flood(self, payload):
        for _ in range(payload[1]): os.write(1, b"x" * 1048576)
        return payload
    def environment(self, payload):
        return [os.environ.get(payload[1]), 0]
    def spawned(self, payload):
        import subprocess
        return [subprocess.run([sys.executable, "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"], capture_output=True).stdout.decode()]
`;

let project: Project;

afterEach(async () => {
  await project.close();
});

describe("a handler's process group", () => {
  it("does not outlive it: children that it forked are killed with it", async () => {
    project = await aProject(HANDLER);
    await project.start();
    const { pid } = project.handler;
    expect(rowsOf(await project.run("a", ["fork"]))).toContain("fork");

    await project.run("b", ["leave"]);
    await project.handler.ended;

    await expect.poll(() => isGroupAlive(pid)).toBe(false);
  });

  it("lets no forked child answer in the handler's name", async () => {
    project = await aProject(HANDLER);
    await project.start();

    const answers = await Promise.all([project.run("a", ["fork_and_return"]), project.run("b", ["fork"])]);

    expect(answers.map((answer) => answer.kind)).toEqual(["done", "done"]);
  });

  it("gives programs that the handler starts none of its own descriptors", async () => {
    project = await aProject(HANDLER);
    await project.start();

    expect(rowsOf(await project.run("a", ["spawned"]))).toContain("['0', '1', '2', '3']"); // 3: the listing itself
  });

  it("ends when its supervisor is killed, even while the handler hangs", async () => {
    project = await aProject("");
    const script = new URL("supervisor-that-dies.ts", import.meta.url).pathname;
    const supervisor = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    const printed: string[] = [];
    supervisor.stdout.on("data", (chunk: Buffer) => printed.push(chunk.toString()));
    await expect.poll(() => printed.join(""), { timeout: 10_000 }).toContain("hanging");
    const [, pidText, folder] = /pid (\d+) folder (.+)/.exec(printed.join("")) ?? [];
    const pid = Number(pidText);
    expect(isGroupAlive(pid)).toBe(true);

    supervisor.kill("SIGKILL");

    await expect.poll(() => isGroupAlive(pid), { timeout: 5_000 }).toBe(false);
    await rm(folder ?? "", { recursive: true });
  });
});

describe("a handler's output", () => {
  it("is cut and counted when it floods without a newline, and the handler does not block", async () => {
    project = await aProject(HANDLER);
    await project.start();
    const before = process.memoryUsage().rss;

    const answer = await project.run("a", ["flood", 300]);
    const grown = process.memoryUsage().rss - before;
    await project.handler.close();

    expect(answer.kind).toBe("done");
    expect(grown).toBeLessThan(200 * 1024 * 1024); // the collector of garbage comes when it likes
    const kept = project.lines.reduce((sum, line) => sum + line.text.length, 0);
    expect(kept).toBeLessThan(20 * 1024 * 1024);
    // On a slow machine more is said after it: a worker earns the right to log as time goes by.
    const cut = /^\d+ bytes of output were cut here: a worker may log 1048576 bytes a /;
    expect(project.lines.some(({ text }) => cut.test(text))).toBe(true);
  }, 30_000);
});

describe("a handler's environment", () => {
  it("holds the API's variables and the project's .env, which a shell reads", async () => {
    project = await aProject(HANDLER, {
      files: { ".env": 'A=1\nexport B="two words"\nC=$A$FROM_API\n' },
      env: { FROM_API: "api" },
    });
    await project.start();

    expect(rowsOf(await project.run("a", ["environment", "B"]))).toContain('"two words"');
    expect(rowsOf(await project.run("b", ["environment", "C"]))).toContain('"1api"');
    expect(rowsOf(await project.run("c", ["environment", "MILLRACE_PROCESS_INDEX"]))).toContain('"0"');
  });

  it("is said to be wrong when the shell can not read .env, without its values", async () => {
    project = await aProject(HANDLER, { files: { ".env": "SECRET='not ended\n" } });

    await expect(project.start()).rejects.toThrow(
      ".env: the shell could not read it (its words are in the log); write lines NAME=value",
    );
  });

  it("has the project first on the import path, the logger of Cortex last, and no module of ours in between", async () => {
    const source = `
import frames, sub, json
from cortex_internal.lib.log import logger
class PythonPredictor:
    def __init__(self, config): pass
    def predict(self, payload):
        logger.info("seen", extra={"items": len(payload)})
        return [frames.name, sub.name]
`;
    const files = { "frames.py": "name = 'the user wrote it'", "lib/sub.py": "name = 'on python_path'" };
    project = await aProject(source, { files });
    await project.start({ python_path: "lib" });

    const answer = await project.run("a", [1, 2]);
    await project.handler.close();

    expect(rowsOf(answer)).toContain("the user wrote it");
    expect(JSON.parse(project.lines[0]?.text ?? "")).toMatchObject({ levelname: "INFO", message: "seen", items: 2 });
  });
});
