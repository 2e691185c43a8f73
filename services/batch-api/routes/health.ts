import { Type } from "typebox";
import type { App, Door } from "./door.ts";
import { ref } from "./schemas.ts";

const Health = Type.Object({ status: Type.String(), why: Type.Optional(Type.String()) }, { $id: "Health" });

/** `live`: the loop turns. `ready`: what the service needs answered lately. */
export function healthRoutes(app: App, { readiness }: Door): void {
  app.addSchema(Health);
  app.get(
    "/health/live",
    { schema: { summary: "Whether the process answers", response: { 200: ref("Health", "It does") } } },
    () => ({ status: "ok" }),
  );
  const responses = { 200: ref("Health", "Ready"), 503: ref("Health", "Starting, or something it needs is not well") };
  app.get("/health/ready", { schema: { summary: "Whether it can work", response: responses } }, async (_, reply) => {
    const now = readiness();
    if (now.kind === "ready") return { status: now.kind };
    return reply.status(503).send({ status: now.kind, why: now.why });
  });
}
