/** What a caller must be allowed to do at each address of the doors, said in one place. */
import type { Scope } from "../../protocol/auth.ts";

/** `open`: whoever reaches the port. */
export type RouteScope = Scope | "open";

/** By method and pattern. A route that is not here is not served: `scopeOf` throws while the doors are built. */
export const ROUTE_SCOPES = {
  "GET /": "read",
  "GET /openapi.json": "read",
  "GET /metrics": "read",
  // "ok" and no more; a balancer asks it
  "GET /health/live": "open",
  "GET /health/ready": "read",
  "GET /v1/apis": "read",
  "GET /v1/apis/:api": "read",
  "PUT /v1/apis/:api": "admin",
  "DELETE /v1/apis/:api": "admin",
  "GET /v1/apis/:api/jobs": "read",
  "POST /v1/apis/:api/jobs": "submit",
  "GET /v1/apis/:api/jobs/:job": "read",
  "POST /v1/apis/:api/jobs/:job/stop": "submit",
  "POST /v1/apis/:api/jobs/:job/retry": "submit",
  "GET /v1/apis/:api/jobs/:job/results": "read",
  "GET /v1/apis/:api/jobs/:job/errors": "read",
  "GET /v1/apis/:api/jobs/:job/logs": "read",
  "GET /v1/apis/:api/jobs/:job/events": "read",
  "GET /:api": "read",
  "GET /:api/:id": "read",
  "POST /:api": "submit",
  "DELETE /:api": "submit",
  "DELETE /:api/:id": "submit",
  // browsers send nothing that could tell who asks, and are told nothing but headers
  "OPTIONS /:api": "open",
  "GET /batch/:api": "read",
  "GET /batch/:api/:id": "read",
  "POST /batch/:api": "submit",
  "DELETE /batch/:api": "submit",
  "DELETE /batch/:api/:id": "submit",
  "OPTIONS /batch/:api": "open",
} as const satisfies Readonly<Record<`${string} /${string}`, RouteScope>>;

/** Throws for a route that has no row. */
export function scopeOf(method: string, pattern: string): RouteScope {
  const scope = (ROUTE_SCOPES as Readonly<Record<string, RouteScope>>)[`${method} ${pattern}`];
  if (scope !== undefined) return scope;
  throw new Error(`${method} ${pattern} has no row in ROUTE_SCOPES: say there what a caller must be allowed to do`);
}
