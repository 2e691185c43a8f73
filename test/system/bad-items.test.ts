import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { batchId } from "../../services/protocol/ids.ts";
import { SystemUnderTest } from "../support/a-system.ts";

const EXAMPLE = join(import.meta.dirname, "../../examples/bad-items");
/** The example's handler, which also notes each call: the batch, what it is a part of, and how many items came. */
const NOTING = `
import os
import squares

class Handler(squares.Handler):
    def __init__(self, config):
        super().__init__(config)
        self.notes = os.open(config["notes"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def handle_batch(self, payload, batch_id, parent_id):
        os.write(self.notes, f"{batch_id} {parent_id} {len(payload)}\\n".encode())
        return super().handle_batch(payload)
`;
const BATCH_SIZE = 64;
const CAUSES = {
  17: "raised",
  1500: "killed",
  2345: "raised",
  4096: "worker_died",
  5555: "exited",
  7777: "timed_out",
  9999: "raised",
};
const KILLS_THE_WORKER = 4096;

let system: SystemUnderTest;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  const squares = readFileSync(join(EXAMPLE, "handler.py"), "utf8");
  const files = { "handler.py": NOTING, "squares.py": squares };
  const spec = { batch_size: BATCH_SIZE, batch_timeout: 4, attempts: 2 };
  expect((await system.deploy("bad-items", files, spec)).status).toBe(201);
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

describe("a job of 10,000 items of which seven are bad", () => {
  it(
    "fails those seven, each for what it did, and loses nothing of their neighbours",
    { timeout: 180_000 },
    async () => {
      const items = execFileSync("python3", [join(EXAMPLE, "make_items.py")]);
      const path = await system.write("items.jsonl", items);
      const notes = join(system.inputs, "notes");
      const input = { delimited_files: { paths: [`file://${path}`] } };
      const job = await system.run("bad-items", { workers: 2, config: { notes }, ...input }, 170);

      expect(job).toMatchObject({ state: "completed_with_failures", items: { succeeded: 9_993, failed: 7 } });
      const errors = await system.errors(job);
      expect(Object.fromEntries(errors.map(({ index, cause }) => [index, cause]))).toEqual(CAUSES);
      expect(errors).toHaveLength(7);
      const results = await system.results(job);
      const good = Array.from({ length: 10_000 }, (_, index) => index).filter((index) => !(index in CAUSES));
      expect(results.map(({ index }) => index)).toEqual(good);
      expect(results.every(({ index, result }) => result === index * index)).toBe(true);
      expectFewCalls(job.job_id, readFileSync(notes, "utf8"));
    },
  );
});

/** Two calls a level for each bad item; over one that kills its worker some are made again, because nobody told how they ended. */
function expectFewCalls(job: string, notes: string): void {
  const calls = notes.trimEnd().split("\n").map((line) => line.split(" ")); // prettier-ignore
  const extra = calls.filter(([, parent]) => parent !== "None");
  const most = 2 * Math.log2(BATCH_SIZE);
  for (const item of Object.keys(CAUSES).map(Number)) {
    const parent = batchId(job, Math.floor(item / BATCH_SIZE));
    const ofBatch = extra.filter((call) => call[1] === parent).map(([id]) => id);
    expect(new Set(ofBatch).size, `parts of the batch of item ${String(item)}`).toBeLessThanOrEqual(most);
    if (item !== KILLS_THE_WORKER) expect(ofBatch.length).toBeLessThanOrEqual(most);
    else expect(ofBatch.length).toBeLessThanOrEqual(2 * most);
  }
  const bad = new Set(Object.keys(CAUSES).map((item) => batchId(job, Math.floor(Number(item) / BATCH_SIZE))));
  expect(extra.filter(([, parent = ""]) => !bad.has(parent))).toEqual([]);
}
