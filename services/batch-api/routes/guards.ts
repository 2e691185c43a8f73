/** What is refused before any route is asked. */
import type { FastifyRequest } from "fastify";
import { Problem } from "../../protocol/problems.ts";
import type { Readiness } from "./door.ts";

/** Which `Host` headers are answered. */
export type AllowedHosts =
  /** Only names of this machine: a web page whose name is made to point at 127.0.0.1 gets nothing (DNS rebinding). */
  { readonly kind: "loopback" } | { readonly kind: "any" };

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

export function refuseForeignHost(hosts: AllowedHosts, request: FastifyRequest): void {
  if (hosts.kind === "any" || LOOPBACK_HOST.test(request.headers.host ?? "")) return;
  const fix = "use localhost or 127.0.0.1, or start the service for other names";
  throw new Problem("not_allowed", "", [{ field: "host", found: "a name that is not this machine's", fix }]);
}

/** Browsers say where a request comes from; pages of other sites may not change anything (CSRF). */
export function refuseCrossSite(request: FastifyRequest): void {
  if (request.method === "GET" || request.headers["sec-fetch-site"] !== "cross-site") return;
  const fix = "send it from a program or from the service's own page";
  throw new Problem("not_allowed", "", [{ field: "sec-fetch-site", found: "a page of another site", fix }]);
}

export function refuseWhileStarting(readiness: Readiness): void {
  if (readiness.kind !== "starting") return;
  throw new Problem("service_starting", `The service is starting: ${readiness.why} Ask again in a second.`);
}

/** Of other APIs a service does not even look for jobs: its rights may end at its own. Deploying says why not by itself. */
export function refuseOtherApi(only: string | undefined, { method, params }: FastifyRequest): void {
  const { api } = params as { readonly api?: string };
  if (only === undefined || api === undefined || api === only || method === "PUT") return;
  const detail = `There is no API ${JSON.stringify(api.slice(0, 100))} here; this service stands for ${JSON.stringify(only)}.`;
  throw new Problem("api_not_found", detail);
}
