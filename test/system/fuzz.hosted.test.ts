/** Doors that ask who comes: with the right key all is answered as documented, without one nothing but that it is missing. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packFiles } from "../../services/project/project-files.ts";
import { until } from "../support/a-service.ts";
import { aProject } from "../support/project-folder.ts";
import { BODIES, request, SECRET, sendRaw, TARGETS } from "./fuzz/raw-requests.ts";
import { schemathesis } from "./fuzz/schemathesis.ts";

/** As in `fuzz.test.ts`; every operation is asked for by two names, with a key and without one. */
const EXAMPLES = Number(process.env["MILLRACE_TEST_FUZZ_EXAMPLES"] ?? 3);
const SEED = Number(process.env["MILLRACE_TEST_FUZZ_SEED"] ?? 1);
const DOORS = join(import.meta.dirname, "fuzz/hosted-doors.ts");
const ADMIN = "authorization: Bearer key-to-admin";

/** What is large is the same at every door, and was sent to a laptop's. */
const LIGHT = Object.entries(BODIES).filter(([, body]) => body().length < 300_000);

let folder: string;
let doors: ChildProcess;
let address: string;
let document: string;
let said = "";
/** A job that has ended of the API that hosts, and of the one that is hosted. */
const jobs: Record<string, string> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-fuzz-"));
  const child = spawn(process.execPath, [DOORS], { stdio: ["pipe", "pipe", "pipe"] });
  doors = child;
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  address = await Promise.race([once(child.stdout, "data"), once(child, "exit")]).then(([line]) => String(line).trim());
  expect(address, said).toMatch(/^http:/);
  const files = { "millrace.yaml": "name: words\nhandler: {path: handler.py}\n", "handler.py": "class Handler: ...\n" };
  expect((await put("words", await packFiles(aProject(files)))).status).toBe(201);
  for (const api of ["photos", "words"]) jobs[api] = await aJob(api);
  document = join(folder, "openapi.json"); // whoever reads it needs a key as well
  await writeFile(document, JSON.stringify(withoutSecurity((await ask("/openapi.json")).body)));
});

afterAll(async () => {
  doors.stdin?.end();
  await rm(folder, { recursive: true, force: true });
});

/** Else keys are made up as well, of bytes that are no HTTP; those are sent below. */
function withoutSecurity(found: Record<string, unknown>): unknown {
  const drop = (name: string, value: unknown) =>
    name === "security" || name === "securitySchemes" ? undefined : value;
  return JSON.parse(JSON.stringify(found, drop));
}

function put(api: string, body: Buffer): Promise<Response> {
  const headers = { authorization: "Bearer key-to-admin", "content-type": "application/gzip" };
  return fetch(`${address}/v1/apis/${api}`, { method: "PUT", headers, body: new Uint8Array(body) });
}

async function ask(path: string, init: RequestInit = {}, key = "key-to-submit"): Promise<{ status: number; body: Record<string, unknown> }> {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(`${address}${path}`, { ...init, headers });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
} // prettier-ignore

/** Runs one to its end. */
async function aJob(api: string): Promise<string> {
  const submission = JSON.stringify({ item_list: { items: [1, 2, 3], batch_size: 2 } });
  const { status, body } = await ask(`/v1/apis/${api}/jobs`, { method: "POST", body: submission });
  expect([status, body], said).toMatchObject([202, { state: "pending" }]);
  const path = `/v1/apis/${api}/jobs/${String(body["job_id"])}`;
  await until("the job to succeed", async () => ((await ask(path)).body["state"] === "succeeded" ? true : undefined));
  return String(body["job_id"]);
}

/** Still the same process, and it runs jobs. */
async function serves(): Promise<void> {
  expect(doors.exitCode, said.slice(-2_000)).toBeNull();
  await aJob("photos");
  expect(said).not.toContain(SECRET);
}

/** What the doors answered nobody while something was done: `STATUS METHOD PATH` each. */
async function answersToNobody(act: () => Promise<unknown>): Promise<readonly string[]> {
  const from = said.length;
  await act();
  await ask("/v1/apis"); // behind what was told of the others
  return said.slice(from).split("\n").filter((line) => /^\d{3} .* nobody$/.test(line)); // prettier-ignore
}

describe("requests that are generated from the OpenAPI document, with a key that may do all", () => {
  it.each(["photos", "words"])("are answered as it says at %s", async (api) => {
    const parameters = { api, job: jobs[api] ?? "" };
    const run = { address, document, folder, seed: SEED, examples: EXAMPLES, parameters, without: ["DELETE", "PUT"] };
    const { code, said: told } = await schemathesis({ ...run, headers: [ADMIN] });

    expect(code, told.slice(-6_000)).toBe(0);
    await serves();
  });

  it("are answered as it says whatever their names are", async () => {
    const run = { address, document, folder, seed: SEED, examples: EXAMPLES, without: ["PUT"] }; // it cannot make archives
    const { code, said: told } = await schemathesis({ ...run, headers: [ADMIN] });

    expect(code, told.slice(-6_000)).toBe(0);
    await serves();
  });
});

describe("requests without a key", () => {
  it("are told so, and nothing else: not what there is, and not what is wrong with them", async () => {
    const parameters = { api: "photos", job: jobs["photos"] ?? "" };
    const run = { address, document, folder, seed: SEED, examples: EXAMPLES, parameters, without: ["PUT"] };
    const answers = await answersToNobody(async () => {
      const { code, said: told } = await schemathesis({
        ...run,
        checks: "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
      });

      expect(code, told.slice(-6_000)).toBe(0);
    });

    expect(answers.length).toBeGreaterThan(20);
    expect(answers.filter((one) => !one.startsWith("401 "))).toEqual(answers.filter((one) => one === "200 GET /health/live nobody")); // prettier-ignore
    expect((await ask(`/v1/apis/photos/jobs/${parameters.job}`)).body).toMatchObject({ state: "succeeded" }); // neither stopped nor removed
    await serves();
  });

  it("are refused before their bodies and addresses are looked at", async () => {
    for (const target of ["/v1/apis/photos/jobs", "/words"]) {
      for (const [what, body] of [...LIGHT, ["too many bytes", BODIES["too many bytes"] ?? String] as const]) {
        const { statuses, text } = await sendRaw(address, [request("POST", target, body())], 20_000);

        // what is not read to its end may take the refusal along with the connection
        expect([what, statuses.filter((status) => status !== 401)]).toEqual([what, []]);
        expect(text, what).not.toContain(SECRET);
      }
    }
    for (const target of TARGETS) {
      for (const method of ["DELETE", "PUT", "GET"]) {
        const { statuses } = await sendRaw(address, [request(method, target, "{}")]);

        expect([method, target, statuses.filter((status) => ![400, 401, 414].includes(status))]).toEqual([method, target, []]); // prettier-ignore
      }
    }
    await serves();
  });
});

describe("keys that no client would send", () => {
  const HEADERS = [
    ...["authorization: ", "authorization: Bearer", "authorization: Bearer ", `authorization: Bearer ${SECRET}`, `authorization: Basic ${SECRET}`],
    ...["authorization: Bearer key-to-admin, Bearer x", "authorization: Bearer key-to-admin x", "authorization: Bearer key-to-admi", "authorization: Bearer KEY-TO-ADMIN"],
    ...["authorization: Bearer __proto__", "authorization: Bearer \xff\xfe", `authorization: Bearer ${"k".repeat(9_000)}`, `x-api-key: ${SECRET}`, "x-api-key: ", "x-api-key: key-to-admin\xff"],
    ...["authorization: Bearer x\r\nauthorization: Bearer key-to-admin", "x-api-key: x\r\nx-api-key: key-to-admin", "cookie: key-to-admin", "proxy-authorization: Bearer key-to-admin"],
  ]; // prettier-ignore

  it("let nobody in, and stand in no answer and no log", async () => {
    for (const header of HEADERS) {
      const { statuses, text } = await sendRaw(address, [request("GET", "/v1/apis/photos", "", `${header}\r\n`)]);

      expect([header, statuses]).toEqual([header, [401]]);
      expect(text).not.toMatch(new RegExp(`${SECRET}|key-to`));
    }
    expect(said).not.toMatch(new RegExp(`${SECRET}|key-to`));
    await serves();
  });

  it("that may less than is asked are told what is missing, whatever the request is", async () => {
    const reader = "authorization: Bearer key-to-read\r\n";
    for (const [what, body] of LIGHT) {
      const { statuses } = await sendRaw(address, [request("POST", "/photos", body(), reader)], 20_000);

      expect([what, statuses.filter((status) => status !== 403)]).toEqual([what, []]);
    }
    const submitter = "authorization: Bearer key-to-submit\r\n";
    for (const method of ["PUT", "DELETE"]) {
      expect((await sendRaw(address, [request(method, "/v1/apis/words", "", submitter)])).statuses).toEqual([403]);
    }
    await serves();
  });
});

describe("bytes that no client would send, with a key that may do all", () => {
  it.each(["/v1/apis/words/jobs", "/words"])("as a submission to %s", async (target) => {
    for (const [what, body] of LIGHT) {
      const { statuses, text } = await sendRaw(address, [request("POST", target, body(), `${ADMIN}\r\n`)], 20_000);

      expect([what, statuses.filter((status) => status < 200 || status >= 500 || status === 401)]).toEqual([what, []]);
      if (!statuses.some((status) => status < 300)) expect(text, what).not.toContain(SECRET);
    }
    await serves();
  });
});
