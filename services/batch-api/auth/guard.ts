/** Stands before every route of the doors: nobody comes in of whom it is not known who he is and that he may. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { Counter, type Registry } from "prom-client";
import { mayAct, type Scope } from "../../protocol/auth.ts";
import { Problem } from "../../protocol/problems.ts";
import type { App } from "../routes/door.ts";
import { type Admission, type Authenticator, LOCAL_PRINCIPAL, type Refusal } from "./admission.ts";
import { scopeOf } from "./route-scopes.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks, as the guard found out. */
    principal: string;
  }
}

const REALM = 'Bearer realm="millrace"';

/** Must be called on the root before any route is registered: hooks count for later routes only. */
export function guardDoors(app: App, authenticator: Authenticator, metrics: Registry): void {
  const refusals = new Counter({
    name: "millrace_refused_callers_total",
    help: "Requests whose sender was not let in, by why",
    labelNames: ["why"] as const,
    registers: [metrics],
  });
  app.addHook("onRoute", ({ method, url }) => {
    for (const one of [method].flat()) scopeOf(one, url); // throws for one without a row
  });
  app.decorateRequest("principal", LOCAL_PRINCIPAL);
  app.addHook("onRequest", async (request, reply) => {
    const scope = neededScope(request);
    if (scope === "open") return;
    const { headers, socket } = request;
    const admission = await authenticator.admit({ headers, peer: socket.remoteAddress ?? "" });
    request.principal = principalOf(admission, scope, reply, (why) => {
      refusals.inc({ why });
    });
  });
}

/** Addresses that no route has are for those who may look: others learn nothing of what there is. */
function neededScope(request: FastifyRequest): Scope | "open" {
  return request.is404 ? "read" : scopeOf(request.method, request.routeOptions.url ?? "");
}

function principalOf(
  admission: Admission,
  scope: Scope,
  reply: FastifyReply,
  count: (why: Refusal | "unwell") => void,
): string {
  switch (admission.kind) {
    case "unwell":
      count("unwell");
      throw new Problem("auth_unwell", `${admission.cause.message}.`, [], { cause: admission.cause });
    case "refused": {
      const { why, fault } = admission;
      count(why);
      if (why === "other_network") throw new Problem("network_not_allowed", "", [fault]);
      const error = why === "no_credentials" ? "" : ', error="invalid_token"';
      void reply.header("www-authenticate", REALM + error); // RFC 6750, section 3
      throw new Problem("not_authenticated", "", [fault]);
    }
    case "admitted": {
      if (mayAct(admission.scopes, scope)) return admission.principal;
      count("scope_missing");
      void reply.header("www-authenticate", `${REALM}, error="insufficient_scope", scope="${scope}"`);
      const found = admission.scopes.length === 0 ? "no scope" : `scope ${admission.scopes.join(", ")}`;
      const fix = `this needs scope ${scope}; ask whoever runs the service for it`;
      throw new Problem("scope_missing", "", [{ field: "authorization", found, fix }]);
    }
  }
}
