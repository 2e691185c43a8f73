import { describe, expect, it } from "vitest";
import type { JobView } from "../../services/batch-api/jobs/job-service.ts";
import { anApp } from "../support/an-app.ts";
import type { TestApp } from "../support/an-app.ts";

const BODY = '{"workers":2,"item_list":{"items":[1,2,3],"batch_size":1}}';

interface CortexJob {
  readonly job_status: Readonly<Record<string, unknown>>;
  readonly metrics?: object;
  readonly api_spec: object;
  readonly endpoint: string;
}

async function withJob(api = "digits", changes: Partial<JobView> = {}): Promise<TestApp & { readonly job: string }> {
  const test = await anApp();
  const answer = await test.app.inject({ method: "POST", url: `/${api}`, payload: BODY });
  const job = answer.json<{ job_id: string }>().job_id;
  test.jobs.change(job, changes);
  return { ...test, job };
}

function counts(changes: Partial<JobView["counts"]>): JobView["counts"] {
  const none = { batches_succeeded: 0, batches_failed: 0, items_succeeded: 0, items_failed: 0, attempts_failed: 0 };
  return { batches: 0, items: 0, complete: true, handler_seconds: 0, ...none, ...changes };
}

const RUNNING: Partial<JobView> = {
  state: "running",
  counts: counts({ batches: 10, batches_succeeded: 4, attempts_failed: 2, handler_seconds: 6 }),
  batches_running: 1,
  batches_waiting: 5,
  workers: { asked: 2, pending: 0, starting: 1, ready: 1, lost: 0 },
};

describe("a job at the Cortex door", () => {
  it("is said in the shape of 0.42", async () => {
    const { app, job } = await withJob("digits", RUNNING);

    const told = (await app.inject({ url: `/digits?jobID=${job}`, headers: { host: "h:1" } })).json<CortexJob>();

    expect(told.job_status).toMatchObject({
      job_id: job,
      status: "running",
      total_batch_count: 10,
      batches_in_queue: 6,
      worker_counts: { not_ready: 1, ready: 1 },
    });
    expect(told.job_status).not.toHaveProperty("end_time");
    expect(told.job_status["worker_counts"]).toEqual({ not_ready: 1, ready: 1 });
    expect(told.metrics).toEqual({ succeeded: 4, failed: 2, average_time_per_batch: 1.5, avg_time_per_batch: 1.5 });
    expect(told.endpoint).toBe(`http://h:1/digits?jobID=${job}`);
    expect(JSON.stringify(told)).not.toContain("secret-value");
  });

  it("is said in the shape of 0.28 where the API says so", async () => {
    const { app, job } = await withJob("old", RUNNING);

    const told = (await app.inject(`/old?jobID=${job}`)).json<CortexJob>();

    expect(told.metrics).toBeUndefined();
    expect(told.job_status).toMatchObject({
      status: "status_running",
      batch_metrics: { succeeded: 4, failed: 2 },
      predictor_id: "v1",
    });
    expect(told.job_status["worker_counts"]).toEqual({
      pending: 0,
      initializing: 1,
      running: 1,
      failed: 0,
      succeeded: 0,
      stalled: 0,
      unknown: 0,
    });
  });

  it.each(["/digits?jobID=ID", "/digits/ID", "/digits/jobID=ID", "/batch/digits?jobID=ID", "/batch/digits/ID"])(
    "is found and stopped at %s",
    async (address) => {
      const { app, job } = await withJob();
      const url = address.replace("ID", job);
      const wanted = address.includes("jobID=ID") ? address.replace("jobID=ID", `jobID=${job}`) : url;

      const found = await app.inject(wanted);
      const stopped = await app.inject({ method: "DELETE", url: wanted });

      expect(found.json<CortexJob>().job_status["job_id"]).toBe(job);
      expect([stopped.statusCode, stopped.json()]).toEqual([200, { message: `stopped job ${job}` }]);
    },
  );

  it("wants an id, a known one, and one of this API", async () => {
    const { app, job } = await withJob();
    const kindAt = async (url: string) => (await app.inject(url)).json<{ kind: string }>().kind;

    expect(await kindAt("/digits")).toBe("endpoints.query_param_required");
    expect(await kindAt("/digits?jobID=69d6faf82e4660d3")).toBe("job.not_found");
    expect(await kindAt(`/old?jobID=${job}`)).toBe("job.not_found");
    expect(await kindAt(`/nobody?jobID=${job}`)).toBe("resources.api_not_deployed");
  });

  it("is stopped again within 40 s of its end, and not later", async () => {
    const { app, job, clock } = await withJob();
    const stop = async () => app.inject({ method: "DELETE", url: `/digits?jobID=${job}` });
    await stop();
    const ended = Date.UTC(2026, 0, 2, 3, 4, 10);

    clock.now = ended + 40_000;
    const soon = await stop();
    clock.now = ended + 40_001;
    const late = await stop();

    expect([soon.statusCode, late.statusCode]).toEqual([200, 400]);
    expect(late.json()).toMatchObject({ kind: "error" });
  });

  it("refuses a second stop as 0.28 did", async () => {
    const { app, job } = await withJob("old");
    const stop = async () => app.inject({ method: "DELETE", url: `/old?jobID=${job}` });
    await stop();

    expect((await stop()).json()).toMatchObject({ kind: "job.job_is_not_in_progress" });
  });
});

describe("a job's status in Cortex's words", () => {
  it.each<[Partial<JobView>, string, string]>([
    [{ state: "pending" }, "pending", "status_enqueuing"],
    [{ state: "running", splitting: true }, "enqueuing", "status_enqueuing"],
    [{ state: "running", splitting: true, batches_running: 1 }, "running", "status_running"],
    [{ state: "running" }, "running", "status_running"],
    [{ state: "completing" }, "running", "status_running"],
    [{ state: "succeeded" }, "succeeded", "status_succeeded"],
    [{ state: "completed_with_failures" }, "completed_with_failures", "status_completed_with_failures"],
    [{ state: "stopped" }, "stopped", "status_stopped"],
    [{ state: "timed_out" }, "timed_out", "status_timed_out"],
    [failedBy("split_failed"), "enqueue_failed", "status_enqueue_failed"],
    [failedBy("worker_error"), "worker_error", "status_worker_error"],
    [failedBy("worker_out_of_memory"), "worker_oom", "status_worker_oom"],
    [failedBy("completion_failed"), "worker_error", "status_worker_error"],
    [failedBy("internal"), "unexpected_error", "status_unexpected_error"],
  ])("of %j is %s, and %s in 0.28", async (changes, now, old) => {
    for (const [api, status] of [
      ["digits", now],
      ["old", old],
    ] as const) {
      const { app, job } = await withJob(api, changes);
      const told = (await app.inject(`/${api}?jobID=${job}`)).json<CortexJob>();
      expect(told.job_status["status"]).toBe(status);
    }
  });
});

function failedBy(reason: "split_failed" | "worker_error" | "worker_out_of_memory" | "completion_failed" | "internal") {
  return { state: "failed", cause: { kind: "failed", reason, message: "" } } as const;
}

describe("the Cortex door", () => {
  it("lets pages of any origin in, as it did", async () => {
    const { app, job } = await withJob();

    const told = await app.inject(`/digits?jobID=${job}`);
    const preflight = await app.inject({ method: "OPTIONS", url: "/digits" });

    expect(told.headers["access-control-allow-origin"]).toBe("*");
    expect(preflight.headers["access-control-allow-methods"]).toBe("GET, HEAD, POST, PUT, OPTIONS");
    expect((await app.inject("/v1/apis")).headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("leaves the doors' own words alone", async () => {
    const { app } = await anApp();

    for (const url of ["/v1", "/v1/nothing", "/get", "/health/nothing", "/batch"]) {
      expect((await app.inject(url)).json(), url).toMatchObject({ code: "not_found" });
    }
  });
});
