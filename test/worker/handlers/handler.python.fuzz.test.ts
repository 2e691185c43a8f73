/** Processes that greet well and then write garbage to their control socket: their batch is charged, and no other. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import { FRAME_KIND } from "../../../services/protocol/frames.ts";
import { encodeFrame } from "../../../services/worker/handlers/frames.ts";
import { startPythonHandler } from "../../../services/worker/handlers/handler.python.ts";
import type { RunAnswer } from "../../../services/worker/handlers/handler.ts";
import { Chance } from "../../simulation/chance.ts";

/** Says that it is ready, begins its first batch when that came, writes `GARBAGE` and then ends, or waits to be killed. */
const HOST = `
import json, os, socket, struct, sys
HEAD = struct.Struct("<IBBHI")
control = socket.socket(fileno=3)
stream = control.makefile("rb")
def frame():
    length, kind, _, meta, sequence = HEAD.unpack(stream.read(HEAD.size))
    return sequence, stream.read(length)[meta:]
nonce = json.loads(frame()[1])["nonce"]
meta = b'{"hook":false,"pid":1}'
control.sendall(HEAD.pack(len(meta), 64, 0, len(meta), 0) + meta)
sequence, _ = frame()
os.write(1, b"\\0%s %d\\n" % (nonce.encode(), sequence))
garbage = bytes.fromhex(os.environ["GARBAGE"])
try:
    for _ in range(int(os.environ["TIMES"])):
        control.sendall(garbage)
except OSError:
    os._exit(5)
if os.environ["THEN"] == "end":
    os._exit(7)
stream.read()
os._exit(8)
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-garbage-"));
  await writeFile(join(folder, "host.py"), HOST);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Hostile {
  readonly garbage: Buffer;
  /** How often it is written. Default 1. */
  readonly times?: number;
  readonly then: "end" | "wait";
}

/** Answers of two batches, and of a third that comes when the process is gone. */
async function answersOf({ garbage, times = 1, then }: Hostile): Promise<readonly RunAnswer[]> {
  const handler = startPythonHandler({
    python: "python3",
    hostPath: join(folder, "host.py"),
    env: { PATH: process.env.PATH ?? "", GARBAGE: garbage.toString("hex"), TIMES: String(times), THEN: then },
    processIndex: 0,
    output: () => undefined,
    clock: realClock,
    random: new Chance(1),
    closeSeconds: 1,
  });
  try {
    const init = { project: folder, path: "handler.py", python_path: null, config: {}, job_spec: {} };
    await handler.start({ ...init, log_level: "info", cortex_project: false });
    handler.tellTotalBatches(2);
    const run = (name: string) => handler.run({ batch_id: name, attempt: 1, items: 1, first: 0 }, Buffer.from("[1]"));
    const both = await Promise.all([run("a"), run("b")]);
    await handler.ended;
    return [...both, await run("c")];
  } finally {
    await handler.close();
  }
}

const aFrame = (kind: number, meta: string, body = "", sequence = 1): Buffer =>
  Buffer.concat(encodeFrame(kind, sequence, meta, Buffer.from(body)));
const done = aFrame(FRAME_KIND.done, '{"rows":1}', '{"index":0,"result":1}\n');
const tooLong = Buffer.from(done);
tooLong.writeUInt32LE(0xffffffff, 0);
const notBegun = { kind: "not_begun" };
const charged = {
  kind: "failed",
  cause: "bad_answer",
  error: "The handler process wrote bytes to its control socket (descriptor 3) that are no answer",
};

describe("startPythonHandler, with a process that writes garbage", () => {
  it.each<[string, Buffer]>([
    ["an answer to another batch", aFrame(FRAME_KIND.done, '{"rows":null}', "", 2)],
    ["an answer of an unknown kind", aFrame(200, "{}")],
    ["a second greeting", aFrame(FRAME_KIND.ready, '{"hook":true}', "", 0)],
    ["more rows than items", aFrame(FRAME_KIND.done, '{"rows":2}', "1\n2\n")],
    ["fewer lines than rows", aFrame(FRAME_KIND.done, '{"rows":1}', "")],
    ["meta that is no JSON", aFrame(FRAME_KIND.done, "{".repeat(60_000))],
    ["a frame of 4 GiB", tooLong],
    ["a question for a batch that never came", aFrame(FRAME_KIND.ask, "", "", 77)],
  ])("charges %s to the batch in work alone", async (_, garbage) => {
    expect(await answersOf({ garbage, then: "wait" })).toEqual([{ ...charged, traceback: "" }, notBegun, notBegun]);
  });

  it("charges the end of a process that left half a frame, and takes no answer from the half", async () => {
    const garbage = done.subarray(0, done.length - 1);

    const [first, ...others] = await answersOf({ garbage, then: "end" });

    const error = "The handler process ended with exit code 7";
    expect(first).toEqual({ kind: "failed", cause: "exited", error, traceback: "" });
    expect(others).toEqual([notBegun, notBegun]);
  });

  it("answers one question of a batch once, however often it is asked: what is not read does not pile up", async () => {
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    const ask = aFrame(FRAME_KIND.ask, "");
    const garbage = Buffer.concat(Array.from({ length: 2_000 }, () => ask));

    // 400,000 questions, of which none of the answers is read
    const [first] = await answersOf({ garbage, times: 200, then: "end" });

    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    expect(first).toMatchObject({ kind: "failed", cause: "exited" });
    expect(grown).toBeLessThan(60 * 1024 * 1024);
  });

  it("charges any mutation of an answer to the batch in work, or takes it whole", async () => {
    const random = new Chance(20);
    const mutants = Array.from({ length: 16 }, () => {
      const bytes = Buffer.concat([done, done.subarray(0, random.integer(0, done.length - 1))]);
      for (let flips = random.integer(0, 2); flips >= 0; flips -= 1) {
        const at = random.integer(0, bytes.length - 1);
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.integer(0, 7)), at);
      }
      return bytes;
    });

    for (const garbage of mutants) {
      const [first, second, third] = await answersOf({ garbage, then: "end" });

      const blamed = [first, second].filter((answer) => answer?.kind === "failed");
      expect(third, garbage.toString("hex")).toEqual(notBegun);
      expect(blamed.length, garbage.toString("hex")).toBeLessThanOrEqual(1);
      if (first?.kind === "failed") expect(second).toEqual(notBegun);
      else expect(["done", "bad_items"]).toContain(first?.kind);
    }
  });
});
