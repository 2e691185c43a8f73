/** Whoever calls sends whatever they like: only 2xx and 4xx come back, nothing of it in answers or logs, and it serves on. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ECHO, SystemUnderTest } from "../support/a-system.ts";
import type { JobOnWire } from "../support/api-user.ts";
import { BODIES, request, SECRET, sendRaw, STREAMS, TARGETS } from "./fuzz/raw-requests.ts";
import { schemathesis } from "./fuzz/schemathesis.ts";

/** Longer runs, other requests: `MILLRACE_TEST_FUZZ_EXAMPLES=1000 MILLRACE_TEST_FUZZ_SEED=7 npm test -- test/system/fuzz.test.ts`. */
const EXAMPLES = Number(process.env["MILLRACE_TEST_FUZZ_EXAMPLES"] ?? 8);
const SEED = Number(process.env["MILLRACE_TEST_FUZZ_SEED"] ?? 1);
const MEMORY_BYTES_MAX = 1_000 * 1024 * 1024;
const DOORS = { modern: "/v1/apis/echo/jobs", Cortex: "/echo" } as const;

let system: SystemUnderTest;
let job: JobOnWire;

beforeAll(async () => {
  system = await SystemUnderTest.start();
  expect((await system.deploy("echo", ECHO)).status).toBe(201);
  job = await system.run("echo", { item_list: { items: [1, 2, 3], batch_size: 2 } });
});

afterAll(async () => {
  await system.end();
});

/** Still the same process, no larger than it may be, and it answers. */
async function serves(): Promise<void> {
  expect(system.service.hasEnded(), system.service.said().slice(-2_000)).toBe(false);
  const status = readFileSync(`/proc/${String(system.service.pid)}/status`, "utf8");
  expect(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024).toBeLessThan(MEMORY_BYTES_MAX);
  expect((await system.request(`/v1/apis/echo/jobs/${job.job_id}`)).status).toBe(200);
}

function refusals(statuses: readonly number[]): readonly number[] {
  return statuses.filter((status) => status < 200 || status >= 500 || (status >= 300 && status < 400));
}

describe("requests that are generated from the OpenAPI document", () => {
  it("are answered as it says, whatever their names are", async () => {
    const run = {
      address: system.service.address,
      folder: system.folder,
      seed: SEED,
      examples: EXAMPLES,
      without: ["PUT"],
    }; // it cannot make archives
    const { code, said } = await schemathesis(run);

    expect(code, said.slice(-6_000)).toBe(0);
    await serves();
  });

  it("are answered as it says for an API and a job that are there", async () => {
    const parameters = { api: "echo", job: job.job_id };
    const { code, said } = await schemathesis({
      ...{ address: system.service.address, folder: system.folder, seed: SEED, examples: EXAMPLES },
      ...{ parameters, without: ["DELETE", "PUT"] },
    });

    expect(code, said.slice(-6_000)).toBe(0);
    await serves();
  });
});

describe("bytes that no client would send", () => {
  it.each(Object.entries(DOORS))("as a submission at the %s door", async (_door, target) => {
    for (const [what, body] of Object.entries(BODIES)) {
      const { statuses, text } = await sendRaw(system.service.address, [request("POST", target, body())], 20_000);

      // What is too large is not read to its end: the refusal may be lost with the connection.
      if (what !== "too many bytes") expect([what, statuses.length]).toEqual([what, 1]);
      expect([what, refusals(statuses)]).toEqual([what, []]);
      if (!statuses.some((status) => status < 300)) expect(text, what).not.toContain(SECRET);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    await serves();
  });

  it("as an address, with every method", async () => {
    for (const target of TARGETS) {
      for (const method of ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]) {
        const { statuses } = await sendRaw(system.service.address, [request(method, target, "{}")]);

        expect([method, target, refusals(statuses)]).toEqual([method, target, []]);
      }
    }
    await serves();
  });

  it.each(Object.keys(STREAMS))("as a stream: %s", async (what) => {
    const { statuses, text } = await sendRaw(system.service.address, STREAMS[what]?.() ?? []);

    expect(refusals(statuses)).toEqual([]);
    expect(text).not.toContain(SECRET);
    await serves();
  });

  it("slowly, on many connections: others are served meanwhile", async () => {
    const slow = Array.from({ length: 200 }, () => sendRaw(system.service.address, ["POST /echo HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{"], 3_000)); // prettier-ignore

    await serves();
    expect((await system.run("echo", { item_list: { items: [1], batch_size: 1 } })).state).toBe("succeeded");
    await Promise.all(slow);
    await serves();
  });

  it("leave nothing of themselves in the service's log", () => {
    expect(system.service.said()).not.toContain(SECRET);
  });
});
