import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { describe, expect, it } from "vitest";
import { ApiSchema, JobSchema, ProblemSchema } from "../../services/batch-api/routes/schemas.ts";
import { anApp } from "../support/an-app.ts";

interface Operation {
  readonly responses: Readonly<Record<string, unknown>>;
  readonly parameters?: readonly unknown[];
  readonly requestBody?: unknown;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

async function documentOf(): Promise<Document> {
  const { app } = await anApp();
  return (await app.inject("/openapi.json")).json<Document>();
}

describe("/openapi.json", () => {
  it("lists every route", async () => {
    const { paths } = await documentOf();

    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((one) => `${one} ${path}`),
    );
    expect(routes.sort()).toEqual([
      "delete /batch/{api}",
      "delete /batch/{api}/{id}",
      "delete /v1/apis/{api}",
      "delete /{api}",
      "delete /{api}/{id}",
      "get /batch/{api}",
      "get /batch/{api}/{id}",
      "get /health/live",
      "get /health/ready",
      "get /metrics",
      "get /v1/apis",
      "get /v1/apis/{api}",
      "get /v1/apis/{api}/jobs",
      "get /v1/apis/{api}/jobs/{job}",
      "get /v1/apis/{api}/jobs/{job}/errors",
      "get /v1/apis/{api}/jobs/{job}/events",
      "get /v1/apis/{api}/jobs/{job}/logs",
      "get /v1/apis/{api}/jobs/{job}/results",
      "get /{api}",
      "get /{api}/{id}",
      "post /batch/{api}",
      "post /v1/apis/{api}/jobs",
      "post /v1/apis/{api}/jobs/{job}/retry",
      "post /v1/apis/{api}/jobs/{job}/stop",
      "post /{api}",
      "put /v1/apis/{api}",
    ]);
  });

  it("describes bodies, answers and problems of the modern door", async () => {
    const { paths, openapi } = await documentOf();

    expect(openapi).toBe("3.1.0");
    for (const [path, methods] of Object.entries(paths).filter(([one]) => one.startsWith("/v1"))) {
      for (const [method, operation] of Object.entries(methods)) {
        expect(Object.keys(operation.responses), `${method} ${path}`).toEqual(expect.arrayContaining(["4XX", "5XX"]));
      }
    }
    expect(paths["/v1/apis/{api}/jobs"]?.["post"]?.requestBody).toMatchObject({
      content: { "application/json": { schema: { $ref: "#/components/schemas/Submission" } } },
    });
    expect(paths["/v1/apis/{api}"]?.["put"]?.requestBody).toMatchObject({ content: { "application/gzip": {} } });
  });

  it("refers only to what it has", async () => {
    const document = await documentOf();

    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? "");

    expect(refs.length).toBeGreaterThan(10);
    for (const one of refs) {
      expect(Object.keys(document.components.schemas)).toContain(one.replace("#/components/schemas/", ""));
    }
  });

  it("has schemas that the answers keep to, strictly", async () => {
    const { app } = await anApp();
    const check = (schema: TSchema, answer: unknown) => {
      expect([...Value.Errors(schema, answer)]).toEqual([]);
    };
    const headers = { "content-type": "application/json" };
    const payload = '{"delimited_files":{"paths":["/data"]},"timeout":5,"labels":{"a":"b"}}';

    const job = await app.inject({ method: "POST", url: "/v1/apis/digits/jobs", headers, payload });
    check(JobSchema, job.json());
    check(JobSchema, (await app.inject("/v1/apis/digits/jobs")).json<{ jobs: unknown[] }>().jobs[0]);
    check(ApiSchema, (await app.inject("/v1/apis/digits")).json());
    check(ApiSchema, (await app.inject("/v1/apis")).json<{ apis: unknown[] }>().apis[0]);
    check(ProblemSchema, (await app.inject("/v1/apis/nobody")).json());
    expect(Object.keys(job.json<object>()).sort()).toEqual(Object.keys(JobSchema.properties).sort());
  });
});
