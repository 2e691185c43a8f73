import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Job } from "../../cli/bar.ts";
import { startCommand, type Command } from "../support/a-command.ts";
import { leftBehind, until } from "../support/a-service.ts";
import { writeProject } from "../support/project-folder.ts";

let folder: string;
let root: string;
let started: Command[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-cli-system-"));
  root = join(folder, "root");
});

afterEach(async () => {
  const left = started.filter((command) => !command.hasEnded());
  for (const command of left) command.kill("SIGKILL"); // a test that failed half-way
  await Promise.all(left.map(({ ended }) => ended));
  started = [];
  expect(await leftBehind(root)).toEqual([]);
  await rm(folder, { recursive: true, force: true });
});

function millrace(...args: readonly string[]): Command {
  const command = startCommand("main.ts", args, { root, mark: { SYSTEM_TEST_ROOT: root } });
  started.push(command);
  return command;
}

/** A project that sleeps half a second over each batch. */
async function slowProject(): Promise<string> {
  const project = join(folder, "slow");
  const code = [
    "import pathlib, time",
    "class Handler:",
    "    def __init__(self, config):",
    "        self.begun = pathlib.Path(config['begun'])",
    "    def handle_batch(self, payload):",
    "        self.begun.touch()",
    "        time.sleep(0.5)",
    "        return payload",
  ];
  const handler = { type: "python", path: "handler.py" };
  const spec = { name: "slow", batch_size: 1, config: { begun: join(folder, "begun") }, handler };
  await writeProject(project, { "millrace.yaml": JSON.stringify(spec), "handler.py": code.join("\n") });
  return project;
}

/** Resolves when a batch of the slow project runs. */
async function begun(): Promise<void> {
  await until("a batch to begin", () => (existsSync(join(folder, "begun")) ? true : undefined));
}

async function serving(service: Command): Promise<void> {
  await until("the service to listen", () => (service.out() === "" ? undefined : true));
}

describe("millrace run", () => {
  it("gives rows on stdout, words on stderr, and ends with 0 when every item succeeded", async () => {
    const run = millrace("run", "examples/word-count", "to be or not to be", "all the world's a stage");

    expect(await run.ended, run.err()).toBe(0);
    expect(
      run
        .out()
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { index: 0, result: { words: 6, most: { be: 2, to: 2, not: 1 } } },
      { index: 1, result: { words: 5, most: { a: 1, all: 1, stage: 1 } } },
    ]);
    expect(run.err()).toContain("succeeded: 2 of 2 items succeeded, 0 failed; 1 batch");
    expect(run.err() + run.out()).not.toContain("\x1b");
    const verify = millrace("verify", "word-count");
    expect(await verify.ended, verify.out()).toBe(0);
  });

  it("ends with 3 when some items failed, and names the first of them", async () => {
    const results = join(folder, "results.ndjson");
    const args = ["--as", "items", "--batch-size", "1", "--results", results];
    const run = millrace("run", "examples/word-count", "a text", "5", ...args);

    expect(await run.ended, run.err()).toBe(3);
    expect(run.err()).toContain(
      "item 1 (batch 1, 3 attempts): handle_batch raised TypeError: expected a text, found int",
    );
    expect(await readFile(results, "utf8")).toBe('{"index":0,"result":{"words":2,"most":{"a":1,"text":1}}}\n');
    const failed = millrace("results", "word-count", "--failed");
    expect(await failed.ended).toBe(0);
    expect(JSON.parse(failed.out())).toMatchObject({ index: 1, cause: "raised" });
  });

  it("ends with 4 when the job failed, and says why", async () => {
    const project = join(folder, "broken");
    await writeProject(project, {
      "millrace.yaml": "name: broken\nhandler:\n  type: python\n  path: handler.py\n",
      "handler.py": "import nothing_of_that_name\n",
    });
    const run = millrace("run", project, "1", "--output", "json");

    expect(await run.ended, run.err()).toBe(4);
    expect(JSON.parse(run.out()) as Job).toMatchObject({ state: "failed", reason: "worker_error" });
    expect(run.err()).toContain("nothing_of_that_name");
  });

  it("drains at Ctrl-C, and the job goes on with the next service", async () => {
    const items = Array.from({ length: 12 }, (_, at) => String(at));
    const run = millrace("run", await slowProject(), ...items, "--workers", "2");
    await begun();
    run.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(run.err()).toContain("draining: workers finish or hand back what they hold");
    const early = millrace("watch", "slow");
    expect(await early.ended).toBe(6);

    const serve = millrace("serve", "--port", "0", "--allow", folder);
    await serving(serve);
    const watch = millrace("watch", "slow");
    expect(await watch.ended, watch.err()).toBe(0);
    serve.kill("SIGTERM");

    expect(await serve.ended, serve.err()).toBe(0);
    expect(watch.err()).toContain("succeeded: 12 of 12 items succeeded");
    const rows = millrace("results", "slow");
    expect(await rows.ended).toBe(0);
    expect(rows.out().trimEnd().split("\n")).toHaveLength(12);
  });
});

describe("millrace watch", () => {
  it("leaves the job alone at Ctrl-C, and says how to come back", async () => {
    const project = await slowProject();
    const serve = millrace("serve", "--port", "0", "--output", "json");
    await serving(serve);
    expect(await millrace("deploy", project).ended).toBe(0);
    const submit = millrace("submit", "slow", ...Array.from({ length: 40 }, (_, at) => String(at)), "--watch");
    await begun();
    submit.kill("SIGINT");

    expect(await submit.ended).toBe(130);
    const [, job = ""] = /millrace watch ([0-9a-f]{16})/.exec(submit.err()) ?? [];
    expect(await millrace("stop", job).ended).toBe(0);
    const watch = millrace("watch", job);
    expect(await watch.ended).toBe(4);
    expect(watch.err()).toContain("stopped:");
    serve.kill("SIGINT");
    expect(await serve.ended).toBe(0);
  });
});
