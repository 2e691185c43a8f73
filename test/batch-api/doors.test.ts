import { describe, expect, it } from "vitest";
import { StoreBroken, StoreUnwell } from "../../services/backends/object-store.ts";
import { Unwell } from "../../services/backends/unwell.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { anApp } from "../support/an-app.ts";

const GZIP = { "content-type": "application/gzip" };
const JSON_TYPE = { "content-type": "application/json" };
const JOBS = "/v1/apis/digits/jobs";

describe("APIs at the modern door", () => {
  it("are deployed, shown without environment values, and removed", async () => {
    const { app, apis } = await anApp();

    const created = await app.inject({ method: "PUT", url: "/v1/apis/words", headers: GZIP, payload: "archive" });
    const again = await app.inject({ method: "PUT", url: "/v1/apis/words", headers: GZIP, payload: "archive" });
    const shown = await app.inject("/v1/apis/words");
    const removed = await app.inject({ method: "DELETE", url: "/v1/apis/words" });

    expect([created.statusCode, again.statusCode, removed.statusCode]).toEqual([201, 200, 204]);
    expect(apis.archives.map(String)).toEqual(["archive", "archive"]);
    expect(shown.json()).toMatchObject({ name: "words", version: "v1", env_names: ["TOKEN"] });
    expect(shown.body + created.body).not.toContain("secret-value");
    expect((await app.inject("/v1/apis/words")).statusCode).toBe(404);
  });

  it("tell the progress of a deployment line by line, and its problem last", async () => {
    const { app, apis } = await anApp();
    const headers = { ...GZIP, accept: "application/x-ndjson" };
    const put = async () => {
      const answer = await app.inject({ method: "PUT", url: "/v1/apis/words", headers, payload: "archive" });
      return answer.body
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);
    };

    const worked = await put();
    apis.refusal = new Problem("environment_failed", "requirements.txt line 1: no such package; correct its name.");
    const refused = await put();

    expect(worked).toMatchObject([
      { progress: "Unpacking the project." },
      { change: "created", api: { name: "words" } },
    ]);
    expect(refused.at(-1)).toMatchObject({ problem: { code: "environment_failed", status: 422 } });
  });
});

describe("jobs at the modern door", () => {
  it("are listed by state and page, and stopped once", async () => {
    const { app } = await anApp();
    const payload = '{"item_list":{"items":[1]}}';
    const post = () => app.inject({ method: "POST", url: JOBS, headers: JSON_TYPE, payload });
    const first = (await post()).json<{ job_id: string }>().job_id;
    await post();

    const stopped = await app.inject({ method: "POST", url: `${JOBS}/${first}/stop` });
    const again = await app.inject({ method: "POST", url: `${JOBS}/${first}/stop` });
    const listed = await app.inject(`${JOBS}?state=stopped&limit=5`);
    const page = await app.inject(`${JOBS}?limit=1`);

    expect(stopped.json()).toMatchObject({ state: "stopped", ended_at: "2026-01-02T03:04:10.000Z" });
    expect([again.statusCode, again.json<{ code: string }>().code]).toEqual([409, "job_is_final"]);
    expect(listed.json<{ jobs: { job_id: string }[] }>().jobs.map((job) => job.job_id)).toEqual([first]);
    expect(page.json()).toMatchObject({ next: "more" });
  });

  it("are not shown under another API's address", async () => {
    const { app } = await anApp();
    const payload = '{"item_list":{"items":[1]}}';
    const { job_id } = (await app.inject({ method: "POST", url: JOBS, headers: JSON_TYPE, payload })).json<{
      job_id: string;
    }>();

    expect((await app.inject(`/v1/apis/old/jobs/${job_id}`)).statusCode).toBe(404);
  });
});

describe("all doors", () => {
  it.each(["localhost", "127.0.0.1:8877", "[::1]:8877", "LOCALHOST:1"])("answer to %s on loopback", async (host) => {
    const { app } = await anApp({ hosts: { kind: "loopback" } });

    expect((await app.inject({ url: "/health/live", headers: { host } })).statusCode).toBe(200);
  });

  it.each(["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"])(
    "refuse %s on loopback, where another name means a page that was pointed here",
    async (host) => {
      const { app } = await anApp({ hosts: { kind: "loopback" } });

      expect((await app.inject({ url: "/v1/apis", headers: { host } })).statusCode).toBe(403);
      expect((await app.inject({ method: "POST", url: "/digits", headers: { host } })).json()).toMatchObject({
        kind: "error",
      });
    },
  );

  it("refuse work while the service starts, and say so at /health/ready only", async () => {
    const { app } = await anApp({ readiness: () => ({ kind: "starting", why: "leftovers are ended." }) });

    const modern = await app.inject("/v1/apis");
    const cortex = await app.inject("/digits?jobID=x");

    expect([modern.statusCode, modern.headers["retry-after"]]).toEqual([503, "1"]);
    expect([cortex.statusCode, cortex.json<{ kind: string }>().kind]).toEqual([503, "error"]);
    expect((await app.inject("/health/ready")).statusCode).toBe(503);
    expect((await app.inject("/health/live")).statusCode).toBe(200);
    expect((await app.inject("/")).body).toContain("starting");
  });

  it("count requests by route, never by address", async () => {
    const { app } = await anApp();
    await app.inject(`${JOBS}/0123456789abcdef`);

    const { body, headers } = await app.inject("/metrics");

    expect(headers["content-type"]).toContain("text/plain");
    expect(body).toContain('millrace_http_requests_total{method="GET",route="/v1/apis/:api/jobs/:job",status="404"} 1');
    expect(body).not.toContain("0123456789abcdef");
  });

  it("wait only so long for the head and the rest of a request", async () => {
    const { app } = await anApp();

    expect([app.server.headersTimeout, app.server.requestTimeout]).toEqual([60_000, LIMITS.requestSeconds * 1000]);
  });

  it("log no payload, query or header", async () => {
    const lines: string[] = [];
    const { app } = await anApp({
      logger: { level: "trace", stream: { write: (line: string) => void lines.push(line) } },
    });
    const headers = { ...JSON_TYPE, authorization: "Bearer secret" };

    await app.inject({ method: "POST", url: `${JOBS}?dry_run=secret`, headers, payload: '{"config":{"a":"secret"}}' });

    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join("")).not.toContain("secret");
  });
});

describe("the page", () => {
  it("lists jobs without scripts, and escapes what others wrote", async () => {
    const { app, jobs } = await anApp();
    const payload = '{"item_list":{"items":[1]}}';
    const { job_id } = (await app.inject({ method: "POST", url: JOBS, headers: JSON_TYPE, payload })).json<{
      job_id: string;
    }>();
    jobs.change(job_id, { message: "<script>alert(1)</script>" });

    const { body, headers } = await app.inject("/");

    expect(body).toContain(`href="${JOBS}/${job_id}"`);
    expect(body).toContain("&lt;script&gt;alert(1)");
    expect(headers["content-security-policy"]).toMatch(/default-src 'none'.*script-src 'sha256-/);
  });

  it("leads from a job that failed items to them, and from a retry to what it retries", async () => {
    const { app, jobs } = await anApp();
    const payload = '{"item_list":{"items":[1]}}';
    const { job_id } = (await app.inject({ method: "POST", url: JOBS, headers: JSON_TYPE, payload })).json<{
      job_id: string;
    }>();
    expect((await app.inject("/")).body).not.toContain("/errors");
    const { spec, counts, at } = await jobs.get("digits", job_id);
    const parent = "fedcba9876543210";
    const input = { ...spec.input, kind: "retry", retry_of: parent, root: parent, retried: "failed" };
    jobs.change(job_id, {
      spec: { ...spec, input } as unknown as typeof spec,
      state: "completed_with_failures",
      counts: { ...counts, batches: 1, items: 1_200, complete: true, batches_failed: 1, items_failed: 1_200 },
      at: { ...at, completed_with_failures: spec.accepted_at + 200_900 },
    });

    const { body } = await app.inject("/");

    expect(body).toMatch(new RegExp(`<a href="${JOBS}/${job_id}/errors"[^>]*>1,200</a>`));
    expect(body).toContain(`retry of <a href="${JOBS}/${parent}">`);
    expect(body).toContain(">3 min 20 s<");
  });
});

describe("a door behind which something does not work", () => {
  const denied = "s3://acme-batches/apis/digits/ may not be listed: grant this service s3:ListBucket on acme-batches";

  it.each([
    [new StoreUnwell(denied), "store_unwell"],
    [new StoreBroken(denied), "store_unwell"],
    [new Unwell("log group /digits does not exist"), "backend_unwell"],
  ])("says so in its sentence, and that asking again may help", async (error, code) => {
    const { app, jobs } = await anApp();
    jobs.list = () => Promise.reject(error);

    const answer = await app.inject(JOBS);

    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBe("5");
    expect(answer.json()).toMatchObject({ code, detail: `${error.message}.` });
  });
});
