import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { buildHealthApp } from "../../services/batch-api/app.ts";
import { FakeApiService, FakeJobService } from "../support/fake-services.ts";
import { anApp, ManualClock } from "../support/an-app.ts";

describe("the doors of a service that stands for one API", () => {
  it("do not look for another's jobs, and let deploying say why not", async () => {
    const { app, apis } = await anApp({ only: "digits" });
    const put = { method: "PUT", url: "/v1/apis/old", headers: { "content-type": "application/gzip" } } as const;

    const answers = await Promise.all(
      ["/v1/apis/old", "/v1/apis/old/jobs", "/v1/apis/old/jobs/e00000000000000a/logs"].map((url) => app.inject(url)),
    );

    for (const answer of answers) {
      expect(answer.json()).toMatchObject({
        code: "api_not_found",
        detail: 'There is no API "old" here; this service stands for "digits".',
      });
    }
    expect((await app.inject("/v1/apis/digits/jobs")).statusCode).toBe(200);
    expect((await app.inject({ ...put, payload: "archive" })).statusCode).toBe(200);
    expect(apis.archives).toHaveLength(1);
  });
});

describe("the port for health and metrics", () => {
  it("answers whoever asks, by whatever name, and has no doors", async () => {
    const apis = new FakeApiService();
    const app = await buildHealthApp({
      ...{ apis, jobs: new FakeJobService(apis), metrics: new Registry(), clock: new ManualClock(), version: "1" },
      random: { hex: () => "0", fraction: () => 0 },
      readiness: () => ({ kind: "unwell", why: "The store: denied." }),
    });
    const headers = { host: "10.0.0.7:8878" };
    const status = async (url: string) => (await app.inject({ url, headers })).statusCode;

    expect(await Promise.all(["/health/live", "/health/ready", "/metrics", "/v1/apis"].map(status))).toEqual([
      200, 503, 200, 404,
    ]);
    expect((await app.inject({ url: "/health/ready", headers })).body).toContain("The store: denied.");
  });
});
