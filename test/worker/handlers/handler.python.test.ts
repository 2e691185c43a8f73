import { afterEach, describe, expect, it } from "vitest";
import { HandlerStartFailed } from "../../../services/worker/handlers/handler.ts";
import { aProject, failureOf, type Project, rowsOf } from "./python-project.ts";

const HANDLER = `
import os, signal, sys, ctypes, time
class Handler:
    def __init__(self, config, job_spec):
        self.config, self.job_spec, self.batches = config, job_spec, []
    def handle_batch(self, payload, batch_id):
        self.batches.append(batch_id)
        return getattr(self, payload[0])(payload) if isinstance(payload[0], str) else payload
    def on_job_complete(self):
        print("batches:", " ".join(self.batches))
    def say(self, payload):
        print("out", payload[1]); print("err", payload[1], file=sys.stderr); sys.stdout.write("no newline")
    def fail(self, payload): raise ValueError("it does not fit")
    def leave(self, payload): sys.exit(3)
    def exit_at_once(self, payload): os._exit(4)
    def segfault(self, payload): ctypes.string_at(0)
    def kill_itself(self, payload): os.kill(os.getpid(), signal.SIGKILL)
    def hang(self, payload): time.sleep(60)
    def size(self, payload): return [len(payload[1])] * 2
    def total(self, payload): return [self.job_spec["total_batch_count"]]
    def garbage(self, payload): os.write(3, b"garbage " * 100); time.sleep(60)
    def close_output(self, payload): os.close(1); os.close(2)
    def one_less(self, payload): return payload[1:]
    def a_set(self, payload): return [{1}]
`;

let project: Project;
async function started(source = HANDLER): Promise<Project> {
  project = await aProject(source);
  await project.start();
  return project;
}

afterEach(async () => {
  await project.close();
});

describe("startPythonHandler", () => {
  it("answers batches in order with one row per item, and runs the completion hook on the same instance", async () => {
    const { handler, run, lines } = await started();

    const answers = await Promise.all([run("a", [1, null]), run("b", [{ x: "é" }]), run("c", [10])]);

    expect(answers.map(rowsOf)).toEqual([
      '{"index":10,"result":1}\n{"index":11,"result":null}\n',
      '{"index":10,"result":{"x":"é"}}\n',
      '{"index":10,"result":10}\n',
    ]);
    expect(await handler.complete()).toMatchObject({ kind: "done", rows: null });
    await handler.close();
    expect(lines).toEqual([{ batchId: undefined, text: "batches: a b c" }]);
  });

  it("tells which batch each line belongs to, also without a newline", async () => {
    const { handler, run, lines, begun } = await started();

    await Promise.all([run("a", ["say", 1]), run("b", ["say", 2])]);
    await handler.close();

    expect(begun).toEqual(["a", "b"]);
    expect(lines.map(({ batchId, text }) => ({ batchId, text }))).toEqual([
      { batchId: "a", text: "out 1" },
      { batchId: "a", text: "err 1" },
      { batchId: "a", text: "no newline" },
      { batchId: "b", text: "out 2" },
      { batchId: "b", text: "err 2" },
      { batchId: "b", text: "no newline" },
    ]);
  });

  it("gives an exception as a failed attempt, its traceback without the host's frames, and goes on", async () => {
    const { run } = await started();

    const failure = failureOf(await run("a", ["fail"]));

    expect(failure).toMatchObject({ cause: "raised", error: "handle_batch raised ValueError: it does not fit" });
    expect(failure.traceback).toContain("in fail");
    expect(failure.traceback).not.toContain("millrace_host");
    expect(failureOf(await run("b", ["leave"]))).toMatchObject({
      cause: "exited",
      error: "handle_batch called sys.exit(3)",
    });
    expect(rowsOf(await run("c", [1]))).toBe('{"index":10,"result":1}\n');
  });

  it.each([
    ["exit_at_once", "exited", "The handler process ended with exit code 4"],
    ["segfault", "killed", "The handler process was killed (SIGSEGV: a memory fault in native code)"],
    ["kill_itself", "killed", "The handler process was killed (SIGKILL), perhaps by the system for want of memory"],
    [
      "garbage",
      "bad_answer",
      "The handler process wrote bytes to its control socket (descriptor 3) that are no answer",
    ],
  ])("charges an end by %s to the batch that had begun and to no other", async (what, cause, error) => {
    const { handler, run } = await started();

    const [before, at, after] = await Promise.all([run("a", [1]), run("b", [what]), run("c", [2])]);

    expect(before.kind).toBe("done");
    expect(at).toEqual({ kind: "failed", cause, error, traceback: "" });
    expect(after).toEqual({ kind: "not_begun" });
    await handler.ended;
    expect(await run("d", [1])).toEqual({ kind: "not_begun" });
  });

  it("kills a batch that hangs, and blames it alone", async () => {
    const { handler, run } = await started();
    const answers = Promise.all([run("a", ["hang"]), run("b", [2])]);
    await expect.poll(() => project.begun).toEqual(["a"]);

    handler.kill("timed_out");

    const [hung, behind] = await answers;
    expect(failureOf(hung)).toMatchObject({
      cause: "timed_out",
      error: "The batch ran longer than its batch timeout, and its handler process was killed",
    });
    expect(behind).toEqual({ kind: "not_begun" });
  });

  it("blames nobody when it is killed between batches", async () => {
    const { handler, run } = await started();
    await run("a", [1]);

    handler.kill("aborted");

    expect(await run("b", [1])).toEqual({ kind: "not_begun" });
    await handler.ended;
  });

  it("tells which batch some items are a part of, where the signature asks", async () => {
    const asks =
      "class Handler:\n    def __init__(self, config): pass\n    def handle_batch(self, batch_id, parent_id): return [batch_id, parent_id]\n";
    await started(asks);
    const meta = { batch_id: "p", attempt: 1, items: 2, first: 0 };
    const items = Buffer.from("[1,2]");

    expect(rowsOf(await project.handler.run(meta, items))).toContain('{"index":1,"result":null}');
    expect(rowsOf(await project.handler.run({ ...meta, parent_id: "b" }, items))).toContain('{"index":1,"result":"b"}');
  });

  it("says so when the items are no JSON array of the right length, and calls nothing", async () => {
    const { run } = await started();

    const bodies = ["[1,2]", '{"a":1}', "[1,", "[NaN]", "[Infinity]", '["\\ud800\\u0', ""];
    const answers = await Promise.all(bodies.map((body) => run("a", body, 1)));

    expect(answers).toEqual(bodies.map(() => ({ kind: "bad_items" })));
    const broken = Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]);
    expect(await project.handler.run({ batch_id: "b", attempt: 1, items: 1, first: 0 }, broken)).toEqual({
      kind: "bad_items",
    });
    expect(rowsOf(await run("c", "[123456789012345678901234567890]", 1))).toContain("123456789012345678901234567890");
  });

  it("carries an item of 100 MB", async () => {
    const { run } = await started();

    const answer = await run("a", `["size","${"x".repeat(100 * 1024 * 1024)}"]`, 2);

    expect(rowsOf(answer)).toBe('{"index":10,"result":104857600}\n{"index":11,"result":104857600}\n');
  }, 30_000);

  it("answers the question for the number of batches when it is known, batches behind it waiting", async () => {
    const { handler, run, lines } = await started();
    const answers = Promise.all([run("a", ["total"]), run("b", [5])]);
    await expect.poll(() => lines.length).toBeGreaterThan(0);

    handler.tellTotalBatches(77);

    expect((await answers).map(rowsOf)).toEqual(['{"index":10,"result":77}\n', '{"index":10,"result":5}\n']);
    expect(lines[0]?.text).toBe("job_spec total_batch_count was read: waiting until the input is split");
  });

  it("tells a bad answer with the type and never the value", async () => {
    const { run } = await started();

    expect(failureOf(await run("a", ["one_less"])).error).toBe(
      "handle_batch returned 0 results for 1 items; return a list with one result per item (1), or None when the " +
        "handler writes its own results",
    );
    expect(failureOf(await run("b", ["a_set"])).error).toBe(
      "the result of item 10 holds a value of type set, which JSON does not know; let handle_batch convert it first",
    );
  });

  it("still knows which batch had begun when the handler has closed its output", async () => {
    const { run } = await started();
    await run("a", ["close_output"]);

    const [done, ended, behind] = await Promise.all([run("b", [1]), run("c", ["exit_at_once"]), run("d", [1])]);

    expect([done.kind, ended.kind, behind.kind]).toEqual(["done", "failed", "not_begun"]);
  });
});

describe("startPythonHandler, when the handler can not start", () => {
  async function startError(source: string, path = "handler.py"): Promise<HandlerStartFailed> {
    project = await aProject(source);
    const error: unknown = await project.start({ path }).catch((reason: unknown) => reason);
    if (!(error instanceof HandlerStartFailed)) throw new Error("it started");
    return error;
  }

  it.each([
    [
      "import millrace_no_such",
      "handler.py: importing it raised ModuleNotFoundError: No module named 'millrace_no_such'; add its package to requirements.txt",
    ],
    ["def x(:", "handler.py: importing it raised SyntaxError: invalid syntax (handler.py, line 1)"],
    ["import sys; sys.exit(2)", "handler.py: importing it called sys.exit(2)"],
    [
      "import os; print('last words'); import sys; sys.stdout.flush(); os._exit(9)",
      "The handler process ended with exit code 9 while it started",
    ],
    [
      "class Handler:\n  def __init__(self, config): raise OSError('no model')\n  def handle_batch(self, payload): pass",
      "handler.py: Handler.__init__ raised OSError: no model",
    ],
    ["x = 1", "handler.py: it defines no class Handler (or PythonPredictor); add one"],
    [
      "class ONNXPredictor: pass",
      "handler.py: the class ONNXPredictor is not supported yet; write a class Handler that loads the model itself",
    ],
    [
      "class Handler:\n  def __init__(self, config): pass\n  def handle_batch(self, items): pass",
      'handler.py: Handler.handle_batch: its argument "items" is unknown; it may take self, payload, batch_id, parent_id',
    ],
  ])("says why: %s", async (source, sentence) => {
    expect((await startError(source)).message).toBe(sentence);
  });

  it("gives what was printed as the traceback of a process that ended", async () => {
    const error = await startError("import os; os.write(1, b'last words\\n'); os._exit(9)");

    expect(error.traceback).toBe("last words");
  });

  it("says that the file is not there", async () => {
    expect((await startError("", "other.py")).message).toBe(
      "other.py: there is no such file in the project; set handler.path to the file of the class",
    );
  });

  it("says that the Python command is not there", async () => {
    project = await aProject("", { python: "/nowhere/python3" });

    await expect(project.start()).rejects.toThrow(
      'The command "/nowhere/python3" could not be started (ENOENT); set MILLRACE_PYTHON to a Python of 3.9 to 3.13',
    );
  });
});
