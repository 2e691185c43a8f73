import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
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
    const document = await documentOf();
    const ajv = new Ajv({ strict: false, validateFormats: false });
    ajv.addSchema(document, "openapi");
    const check = (name: string, answer: unknown) => {
      const validate = ajv.compile({ $ref: `openapi#/components/schemas/${name}` });
      validate(answer);
      expect(validate.errors, name).toBeNull();
    };
    const headers = { "content-type": "application/json" };
    const payload = '{"delimited_files":{"paths":["/data"]},"timeout":5,"labels":{"a":"b"}}';

    const job = await app.inject({ method: "POST", url: "/v1/apis/digits/jobs", headers, payload });
    check("Job", job.json());
    check("JobList", (await app.inject("/v1/apis/digits/jobs")).json());
    check("Api", (await app.inject("/v1/apis/digits")).json());
    check("ApiList", (await app.inject("/v1/apis")).json());
    check("Problem", (await app.inject("/v1/apis/nobody")).json());
    check("Health", (await app.inject("/health/ready")).json());
    const schema = document.components.schemas["Job"] as { readonly properties: object };
    expect(Object.keys(job.json<object>()).sort()).toEqual(Object.keys(schema.properties).sort());
  });
});
