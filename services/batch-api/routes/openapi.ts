import swagger from "@fastify/swagger";
import type { FastifyInstance, FastifySchema } from "fastify";
import type { OpenApiScheme } from "../auth/admission.ts";
import { scopeOf } from "../auth/route-scopes.ts";
import type { App } from "./door.ts";
import { anyJson, ProblemRef, SHARED_SCHEMAS } from "./schemas.ts";

/** Bodies that the doors read as bytes, and so are no business of the routes' own schemas. */
const BODIES: Readonly<Record<string, object>> = {
  "POST /v1/apis/:api/jobs": { content: { "application/json": { schema: { $ref: "Submission#" } } } },
  "POST /v1/apis/:api/jobs/:job/retry": { content: { "application/json": { schema: { $ref: "Retry#" } } } },
  "PUT /v1/apis/:api": { content: { "application/gzip": { schema: { type: "string", format: "binary" } } } },
  "POST /:api": { content: { "application/json": { schema: { type: "object" } } } },
  "POST /batch/:api": { content: { "application/json": { schema: { type: "object" } } } },
};

type Schemes = Readonly<Record<string, OpenApiScheme>>;

/** Must be registered before the routes that it describes. `schemes`: any one of them lets a caller in; none: all are. */
export async function describeRoutes(app: App, version: string, schemes: Schemes): Promise<void> {
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Millrace", version, description: "Batch jobs of inference over large datasets" },
      servers: [{ url: "/" }],
      components: { securitySchemes: schemes },
    },
    transform: ({ schema, url, route }) => {
      const method = String(route.method);
      const body = BODIES[`${method} ${url}`];
      const security = securityOf(method, url, schemes);
      const asks = security.length === 0 ? {} : { response: { ...refusalsOf(schema), ...(schema.response as object) } };
      return { schema: { ...schema, ...asks, security, ...(body === undefined ? {} : { body }) }, url };
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json.$id === "string" ? json.$id : `Schema${String(index)}`,
    },
  });
}

/** One of the schemes, with the scope as its role (OpenAPI 3.1, security requirement object). */
function securityOf(method: string, url: string, schemes: Schemes): Readonly<Record<string, string[]>>[] {
  const scope = scopeOf(method, url);
  return scope === "open" ? [] : Object.keys(schemes).map((name) => ({ [name]: [scope] }));
}

/** Whoever is not let in is told so at every address, also at those that refuse nothing else. */
function refusalsOf({ response, tags }: FastifySchema): object {
  const { "4xx": refusals } = (response ?? {}) as { readonly "4xx"?: unknown };
  if (refusals !== undefined) return {};
  const refusal = (words: string) => (tags?.includes("cortex") === true ? anyJson(words) : ProblemRef);
  return { 401: refusal("No key, or one that does not count"), 403: refusal("A key that may not do this") };
}

export function openapiRoute(app: App): void {
  app.get("/openapi.json", { schema: { hide: true } }, () => (app as unknown as FastifyInstance).swagger());
}
