import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { INIT, SystemUnderTest } from "../support/a-system.ts";

/** Does what its items say; all others are echoed. */
const ACTOR = `
import ctypes, os, signal, subprocess, sys, time

def act(item):
    if item == "raise":
        raise ValueError("this item is not for me")
    if item == "exit":
        sys.exit(7)
    if item == "hard exit":
        os._exit(9)
    if item == "segv":
        ctypes.string_at(0)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "hang":
        time.sleep(3600)
    if item == "print":
        while True:
            sys.stdout.write("x" * 65536)
    if item == "object":
        return object()
    if item == "nan":
        return float("nan")
    return item

class Handler:
    def __init__(self, config):
        pass

    def handle_batch(self, payload):
        if payload == ["short"]:
            return []
        if payload == ["text"]:
            return "not a list"
        return [act(item) for item in payload]
`;

let system: SystemUnderTest;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  expect((await system.deploy("actor", ACTOR)).status).toBe(201);
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

/** Runs one bad item between two good ones, each a batch of its own; answers the bad one's error row. */
async function amongGoodOnes(bad: string, options: object = {}) {
  const item_list = { items: ["before", bad, "after"], batch_size: 1 };
  const job = await system.run("actor", { workers: 1, attempts: 2, item_list, ...options });
  const results = await system.results(job);
  const errors = await system.errors(job);

  expect(job, job.message).toMatchObject({
    state: "completed_with_failures",
    items: { total: 3, succeeded: 2, failed: 1 },
  });
  expect(job.attempts_failed).toBe(2);
  expect(results).toEqual([
    { index: 0, result: "before" },
    { index: 2, result: "after" },
  ]);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatchObject({ index: 1, batch: 1, attempts: 2 });
  return { job, error: errors[0] };
}

describe("a handler that cannot start fails its job at once, and says why", () => {
  const cannotStart = async (api: string, source: string) => {
    expect((await system.deploy(api, source)).status).toBe(201);
    const job = await system.run(api, { workers: 1, item_list: { items: [1, 2], batch_size: 1 } });

    expect(job).toMatchObject({ state: "failed", reason: "worker_error", items: { succeeded: 0, failed: 0 } });
    return job.message;
  };

  it("when a module is missing", async () => {
    const message = await cannotStart("no-import", "import not_installed_anywhere\n\nclass Handler: pass\n");

    expect(message).toContain("not_installed_anywhere");
    expect(message).toContain("handler.py");
  });

  it("when its file is not Python", async () => {
    expect(await cannotStart("no-syntax", "class Handler:\n  def handle_batch(:\n")).toContain("SyntaxError");
  });

  it("when there is no handler class", async () => {
    expect(await cannotStart("no-class", "x = 1\n")).toContain("Handler");
  });

  it("when its method asks for an argument that there is not", async () => {
    const source = `class Handler:\n${INIT}    def handle_batch(self, payload, colour):\n        return payload\n`;

    expect(await cannotStart("no-signature", source)).toContain("colour");
  });

  it("when __init__ raises", async () => {
    const source =
      "class Handler:\n    def __init__(self, config):\n        raise RuntimeError('the model is gone')\n" +
      "    def handle_batch(self, payload):\n        return payload\n";
    const message = await cannotStart("no-init", source);

    expect(message).toContain("the model is gone");
    expect(message).toContain("RuntimeError");
  });

  it("when it dies while it starts", async () => {
    expect(await cannotStart("no-life", "import os\nos.kill(os.getpid(), 11)\n")).toContain("SIGSEGV");
  });
});

describe("a batch that fails is tried again, then told of with its item and its reason; its neighbours go on", () => {
  it("when it raises", async () => {
    const { error } = await amongGoodOnes("raise");

    expect(error).toMatchObject({ cause: "raised", at: { start: 9, end: 16 } });
    expect(error?.error).toContain("this item is not for me");
    expect(error?.traceback).toContain("in act");
  });

  it("when it calls sys.exit", async () => {
    const { error } = await amongGoodOnes("exit");

    expect(error?.error).toContain("7");
  });

  it("when its process exits", async () => {
    const { error } = await amongGoodOnes("hard exit");

    expect(error).toMatchObject({ cause: "exited", error: "The handler process ended with exit code 9" });
  });

  it("when it dies of SIGSEGV", async () => {
    const { error } = await amongGoodOnes("segv");

    expect(error?.cause).toBe("killed");
    expect(error?.error).toContain("SIGSEGV");
  });

  it("when it kills itself", async () => {
    const { error } = await amongGoodOnes("kill");

    expect(error?.cause).toBe("killed");
    expect(error?.error).toContain("SIGKILL");
  });

  it("when it hangs, after the batch timeout", async () => {
    const { error } = await amongGoodOnes("hang", { batch_timeout: 0.5 });

    expect(error?.cause).toBe("timed_out");
  });

  it("when it prints for ever without a newline, and its log is cut with a count", async () => {
    const { job, error } = await amongGoodOnes("print", { batch_timeout: 1 });
    const lines = (await system.logs(job)).filter(({ from }) => from === "handler");

    expect(error?.cause).toBe("timed_out");
    expect(lines.some(({ text }) => /\d+ bytes of output were cut here/.test(text))).toBe(true);
    expect(Math.max(...lines.map(({ text }) => text.length))).toBeLessThanOrEqual(256 * 1024);
  });

  it.each([
    ["short", "returned 0 results for 1 items"],
    ["text", "returned a value of type str"],
    ["object", "a value of type object"],
    ["nan", "NaN or Infinity"],
  ])("when it answers what is no list of JSON values: %s", async (item, found) => {
    const { error } = await amongGoodOnes(item);

    expect(error?.cause).toBe("bad_answer");
    expect(error?.error).toContain(found);
  });
});

describe("what a handler forks", () => {
  it.each([
    ["in its group", "False"],
    ["in a session of its own", "True"],
  ])("does not outlive its job: %s", async (_, session) => {
    const api = `fork-${session.toLowerCase()}`;
    const source = [
      "import subprocess",
      "class Handler:",
      INIT,
      "    def handle_batch(self, payload):",
      `        subprocess.Popen(["sleep", "3600"], start_new_session=${session})`,
      "        return payload",
    ];
    await system.deploy(api, source.join("\n"));
    const job = await system.run(api, { workers: 1, item_list: { items: [1, 2], batch_size: 1 } });

    expect(job.state).toBe("succeeded");
    // proveAll looks at every process of this service, whoever is its parent
  });
});
