import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import type { App } from "./door.ts";
import { SHARED_SCHEMAS } from "./schemas.ts";

/** Bodies that the doors read as bytes, and so are no business of the routes' own schemas. */
const BODIES: Readonly<Record<string, object>> = {
  "POST /v1/apis/:api/jobs": { content: { "application/json": { schema: { $ref: "Submission#" } } } },
  "PUT /v1/apis/:api": { content: { "application/gzip": { schema: { type: "string", format: "binary" } } } },
  "POST /:api": { content: { "application/json": { schema: { type: "object" } } } },
  "POST /batch/:api": { content: { "application/json": { schema: { type: "object" } } } },
};

/** Must be registered before the routes that it describes. */
export async function describeRoutes(app: App, version: string): Promise<void> {
  for (const schema of SHARED_SCHEMAS) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Millrace", version, description: "Batch jobs of inference over large datasets" },
      servers: [{ url: "/" }],
    },
    transform: ({ schema, url, route }) => {
      const body = BODIES[`${String(route.method)} ${url}`];
      return { schema: body === undefined ? schema : { ...schema, body }, url };
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json.$id === "string" ? json.$id : `Schema${String(index)}`,
    },
  });
}

export function openapiRoute(app: App): void {
  app.get("/openapi.json", { schema: { hide: true } }, () => (app as unknown as FastifyInstance).swagger());
}
