import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ECHO, SystemUnderTest } from "../support/a-system.ts";
import type { JobOnWire } from "../support/api-user.ts";

/** Takes so many seconds for each batch; says in a file that it was begun, and that the job was complete. */
const SLOW = `
import os, time
class Handler:
    def __init__(self, config, job_spec):
        self.config = config
        self.spec = job_spec
        if config.get("start"):
            time.sleep(config["start"])

    def say(self, text):
        descriptor = os.open(self.config["trace"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, (text + "\\n").encode())
        os.close(descriptor)

    def handle_batch(self, payload, batch_id):
        self.say("batch")
        time.sleep(self.config.get("seconds", 0))
        return payload

    def on_job_complete(self):
        self.say("complete")
        time.sleep(self.config.get("hook", 0))
`;

const TELLER = `
class Handler:
    def __init__(self, config, job_spec):
        self.config = config
        self.spec = job_spec

    def handle_batch(self, payload):
        return [[self.config, self.spec["total_batch_count"], self.spec["job_id"]]]
`;

let system: SystemUnderTest;
let traces = 0;

beforeAll(async () => {
  system = await SystemUnderTest.start({ lanes: 1 });
  for (const [api, source] of Object.entries({ slow: SLOW, echo: ECHO })) {
    expect((await system.deploy(api, source)).status).toBe(201);
  }
});

afterEach(() => system.proveAll());
afterAll(() => system.end());

function aTrace(): string {
  traces += 1;
  return join(system.folder, `trace-${String(traces)}`);
}

async function traced(path: string): Promise<readonly string[]> {
  return (await readFile(path, "utf8").catch(() => "")).split("\n").filter(Boolean);
}

function slowJob(config: object, more: object = {}, items = 4): object {
  const item_list = { items: Array.from({ length: items }, (_, at) => at), batch_size: 1 };
  return { workers: 1, config: { trace: aTrace(), ...config }, item_list, ...more };
}

describe("a job", () => {
  it("runs its completion hook once, after every batch", async () => {
    const trace = aTrace();
    const job = await system.run("slow", slowJob({ trace }, { workers: 2 }, 20));
    const lines = await traced(trace);

    expect(job.state).toBe("succeeded");
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe("complete");
    expect(lines.filter((line) => line === "complete")).toHaveLength(1);
  });

  it("fails with what its completion hook raised, and keeps its results", async () => {
    const source = SLOW.replace('self.say("complete")', 'raise RuntimeError("no room for the report")');
    await system.deploy("bad-hook", source);
    const job = await system.run("bad-hook", slowJob({}));

    expect(job).toMatchObject({ state: "failed", reason: "completion_failed", items: { succeeded: 4 } });
    expect(job.message).toContain("no room for the report");
    expect(await system.results(job)).toHaveLength(4);
  });

  it("merges its config deeply over its API's, and tells how many batches there are", async () => {
    const config = { model: { name: "small", layers: 3 }, labels: ["a", "b"], kept: true };
    await system.deploy("teller", TELLER, { config });
    const submitted = { model: { layers: 12 }, labels: ["c"], added: null };
    const job = await system.run("teller", { config: submitted, item_list: { items: [1, 2, 3], batch_size: 1 } });
    const merged = { model: { name: "small", layers: 12 }, labels: ["c"], kept: true, added: null };

    expect((await system.results(job)).map(({ result }) => result)).toEqual(
      Array.from({ length: 3 }, () => [merged, 3, job.job_id]),
    );
  });

  it("is the same one when it is submitted again under its key", async () => {
    const body = { item_list: { items: [1], batch_size: 1 } };
    const [first, second] = await Promise.all(
      [1, 2].map(() => system.submit("echo", body, { "idempotency-key": "k1" })),
    );
    const third = await system.submit("echo", body, { "idempotency-key": "k1" });
    const other = await system.post("echo", { item_list: { items: [2] } }, { "idempotency-key": "k1" });
    await system.ended(third);

    expect([second?.job_id, third.job_id]).toEqual([first?.job_id, first?.job_id]);
    expect(other.status).toBe(409);
  });
});

describe("a stop", () => {
  const stopped = async (job: JobOnWire): Promise<JobOnWire> => {
    expect((await system.stop(job)).status).toBe(202);
    const ended = await system.ended(job, 10);
    expect(ended.state).toBe("stopped");
    return ended;
  };

  it("ends a job that waits for its lane", async () => {
    const first = await system.submit("slow", slowJob({ seconds: 60 }));
    await system.when(first, ({ state }) => state === "running");
    const second = await system.submit("slow", slowJob({}));
    const waiting = await system.job(second);

    expect(waiting.state).toBe("pending");
    expect(waiting.message).toContain(`the only lane is held by job ${first.job_id}`);
    expect((await stopped(second)).items).toMatchObject({ succeeded: 0, failed: 0 });
    await stopped(first);
  });

  it("ends a job whose workers are starting", async () => {
    const job = await system.submit("slow", slowJob({ start: 60 }));
    await system.when(job, ({ workers }) => workers.starting === 1);

    expect((await stopped(job)).items.succeeded).toBe(0);
  });

  it("ends a job that splits its input", async () => {
    const lines = "1\n".repeat(3_000_000);
    const path = await system.write("many.ndjson", lines);
    const delimited_files = { paths: [path], batch_size: 1 };
    const config = { trace: aTrace(), start: 60 };
    const job = await system.submit("slow", { workers: 1, config, delimited_files });
    await system.when(job, ({ splitting }) => splitting);

    expect((await stopped(job)).batches.complete).toBe(true);
  });

  it("ends a job that runs, and keeps what was finished", async () => {
    const job = await system.submit("slow", slowJob({ seconds: 0.3 }, {}, 100));
    await system.when(job, ({ items }) => items.succeeded >= 2);
    const ended = await stopped(job);

    expect(ended.items.succeeded).toBeGreaterThanOrEqual(2);
    expect(ended.items.succeeded).toBeLessThan(100);
    expect(await system.results(ended)).toHaveLength(ended.items.succeeded);
  });

  it("ends a job whose completion hook runs", async () => {
    const trace = aTrace();
    const job = await system.submit("slow", slowJob({ trace, hook: 60 }));
    await system.when(job, ({ state }) => state === "completing");
    for (let begun = false; !begun;) begun = (await traced(trace)).includes("complete");

    expect((await stopped(job)).items.succeeded).toBe(4);
  });

  it("comes too late for a job that has ended", async () => {
    const job = await system.run("echo", { item_list: { items: [1] } });

    expect((await system.stop(job)).status).toBe(409);
    expect((await system.job(job)).state).toBe("succeeded");
  });
});

describe("a timeout", () => {
  it("ends a running job, and one that waits behind it", async () => {
    const first = await system.submit("slow", slowJob({ seconds: 60 }, { timeout: 2 }));
    await system.when(first, ({ state }) => state === "running");
    const second = await system.submit("slow", slowJob({ seconds: 60 }, { timeout: 1 }));

    expect((await system.ended(second, 10)).state).toBe("timed_out");
    expect((await system.ended(first, 10)).state).toBe("timed_out");
  });
});

describe("jobs that wait for a lane", () => {
  it("say what they wait for, and run by priority, then age", async () => {
    const trace = aTrace();
    const named = (name: string, priority: number) => {
      return { workers: 1, priority, config: { trace }, labels: { name }, item_list: { items: [name], batch_size: 1 } };
    };
    const first = await system.submit("slow", slowJob({ seconds: 2 }, {}, 1));
    await system.when(first, ({ state }) => state === "running");
    const low = await system.submit("slow", named("low", 0));
    const urgent = await system.submit("slow", named("urgent", 5));
    const later = await system.submit("slow", named("later", 0));
    const message = (await system.job(later)).message;
    const ended = await Promise.all([low, urgent, later].map((job) => system.ended(job)));

    expect(message).toContain(`held by job ${first.job_id}`);
    expect(message).toContain(`2 waiting before it: ${urgent.job_id}, ${low.job_id}`);
    const byStart = [...ended].sort((a, b) => Date.parse(a.started_at ?? "") - Date.parse(b.started_at ?? ""));
    expect(byStart.map(({ labels }) => labels["name"])).toEqual(["urgent", "low", "later"]);
  });

  it("do not wait for another API's", async () => {
    const first = await system.submit("slow", slowJob({ seconds: 60 }));
    await system.when(first, ({ state }) => state === "running");

    expect((await system.run("echo", { item_list: { items: [1] } }, 10)).state).toBe("succeeded");
    await system.stop(first);
    await system.ended(first);
  });
});

describe("an API", () => {
  it("that is deployed anew, twice, leaves jobs that run or wait on the version that they were accepted with", async () => {
    const version = (name: string) => SLOW.replace("return payload", `return ["${name}"] * len(payload)`);
    await system.deploy("moving", version("old"));
    const running = await system.submit("moving", slowJob({ seconds: 0.5 }, { workers: 2 }, 12));
    const waiting = await system.submit("moving", slowJob({}, {}, 1)); // there is one lane
    await system.when(running, ({ items }) => items.succeeded >= 1);
    expect((await system.deploy("moving", version("new"))).status).toBe(200);
    const between = await system.submit("moving", slowJob({}, {}, 1));
    expect((await system.deploy("moving", version("newest"))).status).toBe(200);
    const last = await system.submit("moving", slowJob({}, {}, 1));
    // another start of the service begins anew with workers, which find the code of their version
    await system.service.stop();
    await system.restart();

    const results = [];
    for (const job of [running, waiting, between, last]) {
      results.push([...new Set((await system.results(await system.ended(job, 60))).map(({ result }) => result))]);
    }
    expect(results).toEqual([["old"], ["old"], ["new"], ["newest"]]);
  });

  it("that is removed ends its jobs first, and may come again", async () => {
    await system.deploy("doomed", SLOW);
    const running = await system.submit("doomed", slowJob({ seconds: 60 }));
    const waiting = await system.submit("doomed", slowJob({ seconds: 60 }));
    await system.when(running, ({ state }) => state === "running");
    const events = await system.request(`/v1/apis/doomed/jobs/${running.job_id}/events`);
    const reply = await system.request("/v1/apis/doomed", { method: "DELETE" });
    const refused = await system.post("doomed", { item_list: { items: [1] } });

    expect(reply.status, await reply.text()).toBe(204);
    expect(refused.status).toBe(404);
    expect(await events.text()).toContain('"state":"stopped"');
    system.forget(running, waiting);
    await system.proveAll();
    expect((await system.deploy("doomed", SLOW)).status).toBe(201);
    expect((await system.run("doomed", slowJob({}))).state).toBe("succeeded");
  });
});
