import { describe, expect, it } from "vitest";
import { anApp } from "../support/an-app.ts";

const JSON_TYPE = { "content-type": "application/json" };
const JOBS = "/v1/apis/digits/jobs";

describe("the modern door", () => {
  it("accepts a job and answers it with its address", async () => {
    const { app, jobs } = await anApp();
    const payload = '{"workers":2,"item_list":{"items":[12345678901234567890,{"a":1,"a":2}],"batch_size":1}}';

    const answer = await app.inject({ method: "POST", url: JOBS, headers: JSON_TYPE, payload });

    expect(answer.statusCode).toBe(202);
    const job = answer.json<{ job_id: string; state: string }>();
    expect(job.state).toBe("pending");
    expect(answer.headers.location).toBe(`${JOBS}/${job.job_id}`);
    const input = jobs.submissions[0]?.submission.input;
    expect(input?.kind === "item_list" && input.items.map(String)).toEqual(["12345678901234567890", '{"a":1,"a":2}']);
  });

  it("hands on the idempotency key, and refuses one that is none", async () => {
    const { app, jobs } = await anApp();
    const payload = '{"item_list":{"items":[1]}}';
    const post = (key: string) =>
      app.inject({ method: "POST", url: JOBS, headers: { ...JSON_TYPE, "idempotency-key": key }, payload });

    await post("abc");
    const refused = await post("a b");

    expect(jobs.submissions.map((one) => one.options.idempotencyKey)).toEqual(["abc"]);
    expect(refused.json()).toMatchObject({ code: "invalid_request", errors: [{ field: "idempotency-key" }] });
  });

  it("checks without submitting when asked for a dry run", async () => {
    const { app, jobs } = await anApp();
    const payload = '{"file_path_lister":{"paths":["/data/a","/data/b"]}}';

    const answer = await app.inject({ method: "POST", url: `${JOBS}?dry_run=true`, headers: JSON_TYPE, payload });

    expect(answer.json()).toEqual({ uris: ["/data/a", "/data/b"], objects: 2 });
    expect(jobs.submissions).toEqual([]);
  });
});
