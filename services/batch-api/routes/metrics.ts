import { Counter, Histogram } from "prom-client";
import type { App, Door } from "./door.ts";
import { media } from "./schemas.ts";

/** Counts requests of all routes (by pattern, never by address), and shows the registry. Call it on the root. */
export function metricsRoutes(app: App, { metrics }: Door): void {
  const labelNames = ["method", "route", "status"] as const;
  const requests = new Counter({
    name: "millrace_http_requests_total",
    help: "Answered requests",
    labelNames,
    registers: [metrics],
  });
  const seconds = new Histogram({
    name: "millrace_http_request_seconds",
    help: "Seconds from a request's head to its answer's end",
    labelNames: ["method", "route"],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
    registers: [metrics],
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "unknown";
    requests.inc({ method: request.method, route, status: String(reply.statusCode) });
    seconds.observe({ method: request.method, route }, reply.elapsedTime / 1000);
  });
  metricsPage(app, { metrics });
}

export function metricsPage(app: App, { metrics }: Pick<Door, "metrics">): void {
  const schema = {
    summary: "Metrics for Prometheus",
    response: { 200: media("text/plain", "Prometheus text format") },
  };
  app.get("/metrics", { schema }, async (_, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
}
