/** Failed items run again by one command, through the real service and the real command line. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Job } from "../../cli/bar.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { startCommand, type Command } from "../support/a-command.ts";
import { leftBehind, until } from "../support/a-service.ts";
import { writeProject } from "../support/project-folder.ts";

const ITEMS = 60;

let folder: string;
let root: string;
let inputs: string;
let started: Command[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-retry-system-"));
  root = join(folder, "root");
  inputs = join(folder, "inputs");
  await mkdir(inputs);
  const line = (index: number) => `{"n": ${String(index)}}\n`;
  const lines = Array.from({ length: ITEMS }, (_, index) => line(index));
  await writeFile(join(inputs, "a.jsonl"), lines.slice(0, 25).join(""));
  await writeFile(join(inputs, "b.json"), `[\n${lines.slice(25).join(",")}]\n`);
  const serve = millrace("serve", "--port", "0", "--allow", inputs);
  await until("the service to listen", () => (serve.out() === "" ? undefined : true));
});

afterEach(async () => {
  started[0]?.kill("SIGTERM");
  await started[0]?.ended;
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

/** Runs a command to its end; answers what it wrote to stdout. */
async function told(exit: number, ...args: readonly string[]): Promise<string> {
  const command = millrace(...args);
  expect(await command.ended, command.err() + command.out()).toBe(exit);
  return command.out();
}

async function rows(
  ...args: readonly string[]
): Promise<{ readonly index: number; readonly [name: string]: unknown }[]> {
  const lines = (await told(0, "results", ...args)).split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as { readonly index: number });
}

/** Deploys a handler that squares, and does `body` first with each `n`. */
async function deploy(body: string): Promise<void> {
  const project = join(folder, "squares");
  const code = [
    "import time",
    "class Handler:",
    "    def __init__(self, config):",
    "        pass",
    "    def handle_batch(self, payload):",
    "        return [self.square(item['n']) for item in payload]",
    "    def square(self, n):",
    `        ${body}`,
    "        return n * n",
  ];
  const spec = { name: "squares", batch_size: 4, attempts: 2, handler: { type: "python", path: "handler.py" } };
  await writeProject(project, { "millrace.yaml": JSON.stringify(spec), "handler.py": code.join("\n") });
  await told(0, "deploy", project);
}

const all = Array.from({ length: ITEMS }, (_, index) => ({ index, result: index * index }));

async function newest(): Promise<Job> {
  const page = JSON.parse(await told(0, "list", "squares", "--output", "json")) as { readonly jobs: readonly [Job] };
  return page.jobs[0];
}

describe("millrace retry", () => {
  it("runs the failed items on mended code, and the family then has every item once", async () => {
    await deploy("assert n % 10 != 7, 'sevens'");
    await told(3, "submit", "squares", inputs, "--as", "lines", "--watch");
    const first = await newest();
    const refused = millrace("retry", "0123456789abcdef");
    expect(await refused.ended).toBe(5);
    await deploy("assert n != 37, 'that one'");

    const retry = millrace("retry", first.job_id, "--batch-size", "5", "--watch");
    expect(await retry.ended, retry.err()).toBe(3);

    const second = await newest();
    expect(second).toMatchObject({ retry_of: first.job_id, items: { total: 6, succeeded: 5, failed: 1 } });
    expect(retry.err()).toContain(`retrying the failed items of job ${first.job_id} on the newest version`);
    expect(await rows(second.job_id, "--failed")).toMatchObject([{ index: 3 }]);
    expect(await rows(first.job_id, "--family")).toEqual(all.filter(({ index }) => index !== 37));
    expect(await rows(second.job_id, "--family", "--failed")).toMatchObject([{ index: 37, job: second.job_id }]);
    await deploy("pass");
    await told(0, "retry", second.job_id, "--watch");
    expect(await rows(first.job_id, "--family")).toEqual(all);
    expect(await rows(first.job_id, "--family", "--failed")).toEqual([]);
    const over = millrace("retry", (await newest()).job_id);
    expect(await over.ended).toBe(1);
    expect(over.err()).toContain("succeeded: there is nothing to retry");
    for (const job of [first, second, await newest()]) await told(0, "verify", job.job_id);
  });

  it("takes up what a stop left, and never runs other bytes than were listed", async () => {
    await deploy("time.sleep(0.1)");
    const id = (await told(0, "submit", "squares", inputs, "--as", "lines")).trim();
    const running = millrace("retry", id, "--skipped");
    expect(await running.ended).toBe(1);
    expect(running.err()).toMatch(/is (pending|running), and only a job that has ended is retried: wait for its end/);
    await until("some batches to end", async () => {
      const job = JSON.parse(await told(0, "get", id, "--output", "json")) as Job;
      return job.items.succeeded > 0 && !isFinal(job.state) ? true : undefined;
    });
    await told(0, "stop", id);
    await told(4, "watch", id);
    await deploy("pass");

    await told(0, "retry", id, "--skipped", "--watch");

    expect(await rows(id, "--family")).toEqual(all);
    await writeFile(join(inputs, "b.json"), "[1]");
    await told(3, "retry", id, "--skipped", "--same-version", "--watch");
    const changed = await newest();
    const failed = await rows(changed.job_id, "--failed");
    expect(failed.length).toBeGreaterThanOrEqual(ITEMS - 25);
    expect(failed.every(({ cause }) => cause === "input_changed")).toBe(true);
    expect(await rows(id, "--family")).toEqual(all);
    for (const job of [id, changed.job_id]) await told(0, "verify", job);
  });
});
