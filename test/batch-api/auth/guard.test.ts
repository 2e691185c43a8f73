import Fastify, { type InjectOptions } from "fastify";
import { Registry } from "prom-client";
import { beforeAll, describe, expect, it } from "vitest";
import type { Authenticator } from "../../../services/batch-api/auth/admission.ts";
import { ApiKeyRing } from "../../../services/batch-api/auth/api-keys.ts";
import { guardDoors } from "../../../services/batch-api/auth/guard.ts";
import { IssuerUnwell } from "../../../services/batch-api/auth/issuer-keys.ts";
import { networkCallers } from "../../../services/batch-api/auth/networks.ts";
import { ROUTE_SCOPES, type RouteScope } from "../../../services/batch-api/auth/route-scopes.ts";
import type { App } from "../../../services/batch-api/routes/door.ts";
import { apiKeyHash } from "../../../services/protocol/api-keys.ts";
import { SCOPES, type Scope } from "../../../services/protocol/auth.ts";
import { anApp, type TestApp } from "../../support/an-app.ts";

const JOBS = "/v1/apis/digits/jobs";
const JSON_TYPE = { "content-type": "application/json" };
const PAYLOAD = '{"item_list":{"items":[1],"batch_size":1},"workers":1}';

/** A key for each scope, named as the scope. */
function aRing(): ApiKeyRing {
  const ring = new ApiKeyRing();
  ring.hold(SCOPES.map((scope) => ({ name: scope, sha256: apiKeyHash(`secret-${scope}`), scopes: [scope] })));
  return ring;
}

function keyOf(scope: Scope): Readonly<Record<string, string>> {
  return { authorization: `Bearer secret-${scope}` };
}

async function refusalsOf(app: App): Promise<readonly string[]> {
  const { body } = await app.inject({ url: "/metrics", headers: keyOf("read"), remoteAddress: "10.0.0.1" });
  return body.split("\n").filter((line) => line.startsWith("millrace_refused_callers_total"));
}

const ROUTES: readonly (readonly [string, string, RouteScope])[] = Object.entries(ROUTE_SCOPES).map(
  ([route, scope]) => {
    const [method = "", pattern = ""] = route.split(" ");
    return [method, pattern, scope] as const;
  },
);

describe("every route of the doors", () => {
  let app: App;

  beforeAll(async () => {
    ({ app } = await anApp({ authenticator: aRing() }));
  });

  async function statusOf(method: string, pattern: string, headers: Readonly<Record<string, string>>): Promise<number> {
    const url = pattern.replace(":api", "nobody").replace(/:(job|id)/, "0123456789abcdef");
    return (await app.inject({ method, url, headers } as InjectOptions)).statusCode;
  }

  it.each(ROUTES)("%s %s is served, and asks for scope %s", async (method, pattern, scope) => {
    const enough = SCOPES.filter((held) => scope === "open" || SCOPES.indexOf(held) >= SCOPES.indexOf(scope));

    expect(app.hasRoute({ method: method, url: pattern })).toBe(true);
    expect((await statusOf(method, pattern, {})) === 401).toBe(scope !== "open");
    for (const held of SCOPES) {
      const status = await statusOf(method, pattern, keyOf(held));
      expect([401, 403].includes(status), `${held}: ${String(status)}`).toBe(!enough.includes(held));
    }
  });

  it("has a row: one without is not built", () => {
    const bare = Fastify() as unknown as App;
    guardDoors(bare, aRing(), new Registry());

    expect(() => bare.get("/v1/secrets", () => ({}))).toThrow(/^GET \/v1\/secrets has no row in ROUTE_SCOPES/);
    expect(() => bare.route({ method: ["GET", "PATCH"], url: "/v1/apis", handler: () => ({}) })).toThrow(/^PATCH \/v1/);
  });

  it("that changes something needs more than to read", () => {
    const writes = ROUTES.filter(([method]) => !["GET", "OPTIONS"].includes(method));

    expect(writes.filter(([, , scope]) => scope !== "submit" && scope !== "admin")).toEqual([]);
    expect(ROUTES.filter(([, , scope]) => scope === "open").map(([method, pattern]) => `${method} ${pattern}`)).toEqual(
      ["GET /health/live", "OPTIONS /:api", "OPTIONS /batch/:api"],
    );
  });

  it.each(["/v1/nothing", "/v1/apis/digits/nothing/at/all", "/health", "/v1"])(
    "%s, which is none, is told to readers only",
    async (url) => {
      expect((await app.inject({ url })).statusCode).toBe(401);
      expect((await app.inject({ method: "DELETE", url })).statusCode).toBe(401);
      expect((await app.inject({ url, headers: keyOf("read") })).statusCode).toBeGreaterThanOrEqual(404);
    },
  );
});

describe("a caller who is not let in", () => {
  it("is told how to say who he is, at both doors", async () => {
    const { app, apis } = await anApp({ authenticator: aRing() });
    apis.get = () => Promise.reject(new Error("the store was asked"));

    const modern = await app.inject({ method: "POST", url: JOBS, headers: JSON_TYPE, payload: PAYLOAD });
    const cortex = await app.inject({ method: "POST", url: "/digits", payload: PAYLOAD });

    const told =
      "authorization: found no key; send a key of this service as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.";
    expect([modern.statusCode, modern.headers["www-authenticate"]]).toEqual([401, 'Bearer realm="millrace"']);
    expect(modern.headers["content-type"]).toContain("application/problem+json");
    expect(modern.json()).toMatchObject({ code: "not_authenticated", status: 401, detail: told });
    expect([cortex.statusCode, cortex.headers["www-authenticate"]]).toEqual([401, 'Bearer realm="millrace"']);
    expect(cortex.json()).toEqual({ kind: "error", message: told });
    expect(await refusalsOf(app)).toEqual(['millrace_refused_callers_total{why="no_credentials"} 2']);
  });

  it("is told that a key does not count", async () => {
    const { app } = await anApp({ authenticator: aRing() });

    const answer = await app.inject({ url: JOBS, headers: { authorization: "Bearer secret-guess" } });

    expect(answer.statusCode).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe('Bearer realm="millrace", error="invalid_token"');
    expect(answer.body).not.toContain("secret-guess");
    expect(await refusalsOf(app)).toEqual(['millrace_refused_callers_total{why="unknown_key"} 1']);
  });

  it("is told which scope is needed, at both doors, and nothing is done", async () => {
    const { app, jobs } = await anApp({ authenticator: aRing() });
    const headers = { ...JSON_TYPE, ...keyOf("read") };

    const modern = await app.inject({ method: "POST", url: JOBS, headers, payload: PAYLOAD });
    const cortex = await app.inject({ method: "POST", url: "/digits", headers, payload: PAYLOAD });
    const deploy = await app.inject({ method: "PUT", url: "/v1/apis/digits", headers: keyOf("submit") });

    const told = "authorization: found scope read; this needs scope submit; ask whoever runs the service for it.";
    expect(modern.headers["www-authenticate"]).toBe(
      'Bearer realm="millrace", error="insufficient_scope", scope="submit"',
    );
    expect(modern.json()).toMatchObject({ code: "scope_missing", status: 403, detail: told });
    expect([cortex.statusCode, cortex.json()]).toEqual([403, { kind: "error", message: told }]);
    expect(deploy.json()).toMatchObject({
      status: 403,
      detail: expect.stringContaining("this needs scope admin") as string,
    });
    expect(jobs.submissions).toEqual([]);
    expect(await refusalsOf(app)).toEqual(['millrace_refused_callers_total{why="scope_missing"} 3']);
  });

  it("calls from another network, whatever he says of it", async () => {
    const authenticator = networkCallers({ kind: "network", cidrs: ["10.0.0.0/16"] });
    const { app } = await anApp({ authenticator });
    const headers = { "x-forwarded-for": "10.0.0.1" };

    const inside = await app.inject({ url: JOBS, remoteAddress: "10.0.0.1" });
    const outside = await app.inject({ url: JOBS, headers, remoteAddress: "192.0.2.1" });
    const cortex = await app.inject({ url: "/digits?jobID=x", headers, remoteAddress: "192.0.2.1" });

    expect([inside.statusCode, outside.statusCode, cortex.statusCode]).toEqual([200, 403, 403]);
    expect(outside.json()).toMatchObject({ code: "network_not_allowed" });
    expect(await refusalsOf(app)).toEqual(['millrace_refused_callers_total{why="other_network"} 2']);
  });

  it("is asked to come back while nobody can be judged", async () => {
    const unwell = new IssuerUnwell("the keys of https://a.example cannot be had (ECONNREFUSED); look at the issuer");
    const authenticator: Authenticator = { schemes: {}, admit: async () => ({ kind: "unwell", cause: unwell }) };
    const { app } = await anApp({ authenticator });

    const modern = await app.inject(JOBS);
    const cortex = await app.inject("/digits?jobID=x");

    expect([modern.statusCode, modern.headers["retry-after"]]).toEqual([503, "5"]);
    expect(modern.json()).toMatchObject({ code: "auth_unwell", detail: `${unwell.message}.` });
    expect([cortex.statusCode, cortex.headers["retry-after"]]).toEqual([503, "5"]);
    expect(cortex.json()).toEqual({ kind: "error", message: `${unwell.message}.` });
  });
});

describe("a caller who is let in", () => {
  it("has idempotency keys of his own, at both doors", async () => {
    const { app, jobs } = await anApp({ authenticator: aRing() });
    const post = (url: string, scope: Scope) =>
      app.inject({ method: "POST", url, headers: { ...JSON_TYPE, ...keyOf(scope) }, payload: PAYLOAD });

    const answers = [await post(JOBS, "submit"), await post("/digits", "admin")];

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([202, 200]);
    expect(jobs.submissions.map(({ options }) => options.principal)).toEqual(["key:submit", "key:admin"]);
  });

  it("may show the key as X-Api-Key", async () => {
    const { app } = await anApp({ authenticator: aRing() });

    expect((await app.inject({ url: JOBS, headers: { "x-api-key": "secret-read" } })).statusCode).toBe(200);
  });

  it("leaves no trace of what was shown in logs, answers and metrics", async () => {
    const lines: string[] = [];
    const stream = { write: (line: string) => void lines.push(line) };
    const { app, jobs } = await anApp({ authenticator: aRing(), logger: { level: "trace", stream } });
    const shown = ["Bearer secret-admin", "Bearer secret-guess", "Basic secret", "secret"];
    const answers: string[] = [];

    for (const authorization of shown) {
      for (const headers of [{ authorization }, { "x-api-key": authorization }]) {
        for (const url of [JOBS, "/digits?jobID=secret-job", "/nothing/at/all"]) {
          jobs.refusal = new Error("a bug");
          const answer = await app.inject({ url, headers });
          answers.push(JSON.stringify(answer.headers), answer.body);
        }
      }
    }

    expect(lines.length).toBeGreaterThan(20);
    expect(lines.join("")).not.toContain("secret");
    expect(answers.join("")).not.toMatch(/secret-(?!job)/);
    expect((await refusalsOf(app)).join("")).not.toContain("secret");
  });
});

describe("/openapi.json", () => {
  interface Document {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: unknown }>>>>;
    readonly components: { readonly securitySchemes: unknown };
  }

  const documentOf = async ({ app }: TestApp) =>
    (await app.inject({ url: "/openapi.json", headers: keyOf("read") })).json<Document>();

  it("says what to show, and which scope each operation needs", async () => {
    const { components, paths } = await documentOf(await anApp({ authenticator: aRing() }));

    expect(components.securitySchemes).toMatchObject({
      bearer: { type: "http", scheme: "bearer" },
      apiKey: { type: "apiKey", in: "header", name: "X-Api-Key" },
    });
    expect(paths["/v1/apis/{api}"]?.["put"]?.security).toEqual([{ bearer: ["admin"] }, { apiKey: ["admin"] }]);
    expect(paths["/{api}"]?.["post"]?.security).toEqual([{ bearer: ["submit"] }, { apiKey: ["submit"] }]);
    expect(paths["/health/live"]?.["get"]?.security).toEqual([]);
  });

  it("asks for nothing where the doors do not", async () => {
    const { paths } = await documentOf(await anApp());

    const asked = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ security }) => security));
    expect(asked.filter((security) => JSON.stringify(security) !== "[]")).toEqual([]);
  });
});
