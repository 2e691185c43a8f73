import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readProcessFile, type WorkerProcesses } from "../../services/backends/process-files.ts";
import { isAlive } from "../../services/backends/process-identity.ts";
import { until } from "../support/a-service.ts";
import { SystemUnderTest } from "../support/a-system.ts";
import type { JobOnWire } from "../support/api-user.ts";
import { workersOnFile } from "./soak/laptop-targets.ts";

/** Hangs in its first batch, deaf to everything, until it is let go by a file. */
const HANGER = `
import os, time
class Handler:
    def __init__(self, config):
        self.go = config["go"]
        self.at_work = config["at_work"]
    def handle_batch(self, payload):
        open(self.at_work, "w").close()
        while not os.path.exists(self.go):
            time.sleep(0.02)
        return payload
`;

let system: SystemUnderTest;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  expect((await system.deploy("hanger", HANGER)).status).toBe(201);
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

/** A job of three batches on one worker, the first of which hangs. */
async function hanging(
  name: string,
): Promise<{ job: JobOnWire; processes: WorkerProcesses; letGo: () => Promise<string> }> {
  const config = { go: `${system.folder}/${name}.go`, at_work: `${system.inputs}/${name}.at` };
  const item_list = { items: [1, 2, 3], batch_size: 1 };
  const job = await system.submit("hanger", { workers: 1, config, item_list });
  await system.when(job, ({ batches }) => batches.running > 0);
  await until("the handler to be at work", () => (existsSync(config.at_work) ? true : undefined));
  const [worker = ""] = workersOnFile(system.service.root);
  const processes = readProcessFile(system.service.root, worker);
  if (processes === undefined) throw new Error("no worker is on file");
  return { job, processes, letGo: () => system.write(`../${name}.go`, "") };
}

function gone(processes: WorkerProcesses, seconds: number): Promise<true> {
  const all = [processes.worker, ...processes.handlers];
  return until("the worker and its handlers to be gone", () => (all.some(isAlive) ? undefined : true), seconds);
}

describe("a process that is killed while its handler hangs", () => {
  it("takes the handler along when it is the worker, and another worker goes on; nobody is charged", async () => {
    const { job, processes, letGo } = await hanging("worker");
    process.kill(processes.worker.pid, "SIGKILL");
    await gone(processes, 3);
    await letGo();

    expect(await system.ended(job)).toMatchObject({ state: "succeeded", items: { succeeded: 3 }, attempts_failed: 0 });
  });

  it("is replaced when it is the handler, and its batch is tried again", async () => {
    const { job, processes, letGo } = await hanging("handler");
    for (const { pid } of processes.handlers) process.kill(pid, "SIGKILL");
    await letGo();

    expect(await system.ended(job)).toMatchObject({ state: "succeeded", items: { succeeded: 3 }, attempts_failed: 1 });
  });

  it("takes workers and handlers along when it is the service, and the next one finishes the job", async () => {
    const { job, processes, letGo } = await hanging("service");
    system.service.kill("SIGKILL");
    await system.service.ended;
    await gone(processes, 3);
    await system.restart();
    await letGo();

    expect(await system.ended(job)).toMatchObject({ state: "succeeded", items: { succeeded: 3 }, attempts_failed: 0 });
  });
});
