import Fastify from "fastify";
import type { FastifyLoggerOptions, FastifyRequest, FastifyServerOptions } from "fastify";
import type { PinoLoggerOptions } from "fastify/types/logger.js";
import { LIMITS } from "../protocol/limits.ts";
import type { Authenticator } from "./auth/admission.ts";
import { guardDoors } from "./auth/guard.ts";
import { cortexRoutes } from "./dialects/cortex.ts";
import { drainWhenClosing } from "./leaving.ts";
import { apiRoutes } from "./routes/apis.ts";
import type { App, Door } from "./routes/door.ts";
import { refuseCrossSite, refuseForeignHost, refuseOtherApi, refuseWhileStarting } from "./routes/guards.ts";
import type { AllowedHosts } from "./routes/guards.ts";
import { healthRoutes } from "./routes/health.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { metricsPage, metricsRoutes } from "./routes/metrics.ts";
import { answerUnknownAddresses } from "./routes/not-found.ts";
import { describeRoutes, openapiRoute } from "./routes/openapi.ts";
import { pageRoute } from "./routes/page.ts";
import { replyProblem } from "./routes/problem-reply.ts";
import { streamRoutes } from "./routes/streams.ts";

export interface AppOptions extends Omit<Door, "heartbeatSeconds"> {
  /** Which `Host` headers are answered; `loopback` where the doors are bound to this machine. */
  readonly hosts: AllowedHosts;
  /** Tells who asks; `LOOPBACK_CALLERS` where only this machine's users reach the doors. */
  readonly authenticator: Authenticator;
  /** Pino's options; none: silent. Requests are logged without query, headers and body. */
  readonly logger?: FastifyLoggerOptions & PinoLoggerOptions;
  /** Shown in /openapi.json. */
  readonly version: string;
  /** Default 15. */
  readonly heartbeatSeconds?: number;
  /** How long requests under way may take to end once the doors close, seconds. Default 0: they are cut. */
  readonly drainSeconds?: number;
}

/**
 * Builds all doors over the services; starts nothing: the caller listens.
 *
 *     const auth = await openAuth({ kind: "none" }, { clock, log });
 *     const app = await buildApp({ jobs, apis, metrics, clock, random, readiness, version, ...auth });
 *     await app.listen({ host: "127.0.0.1", port: 8877 });
 */
export async function buildApp(options: AppOptions): Promise<App> {
  const door: Door = { ...options, heartbeatSeconds: options.heartbeatSeconds ?? 15 };
  const { drainSeconds = 0 } = options;
  const drains = { forceCloseConnections: "idle", return503OnClosing: false } as const;
  const app: App = Fastify({ ...serverOptions(options), ...(drainSeconds > 0 ? drains : {}) });
  if (drainSeconds > 0) drainWhenClosing(app, options.clock, drainSeconds);
  answerUnknownAddresses(app);
  app.setErrorHandler(replyProblem);
  app.addHook("onRequest", async (request, reply) => {
    void reply.header("x-request-id", request.id).header("x-content-type-options", "nosniff");
    refuseForeignHost(options.hosts, request);
  });
  guardDoors(app, options.authenticator, options.metrics);
  app.removeAllContentTypeParsers();
  // Answers are trusted: a compiled serializer would drop fields and cost a check for each nullable one.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  await describeRoutes(app, options.version, options.authenticator.schemes);
  metricsRoutes(app, door);
  healthRoutes(app, door);
  openapiRoute(app);
  pageRoute(app, door);
  await app.register(async (modern) => {
    modernDoor(modern, door);
  });
  await app.register(async (cortex) => {
    cortexRoutes(cortex, door);
  });
  await app.ready();
  return app;
}

/** Health and metrics alone, for a port of their own: probes and scrapers reach a pod whose doors are closed to others. */
export async function buildHealthApp(options: Omit<AppOptions, "authenticator" | "hosts">): Promise<App> {
  const door: Door = { ...options, heartbeatSeconds: 0 };
  const app: App = Fastify(serverOptions(options));
  answerUnknownAddresses(app);
  app.setErrorHandler(replyProblem);
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  metricsPage(app, door);
  healthRoutes(app, door);
  await app.ready();
  return app;
}

/** `/v1`: each group in a scope of its own, because each takes bodies of its own kind. */
function modernDoor(app: App, door: Door): void {
  app.addHook("onRequest", async (request) => {
    refuseCrossSite(request);
    refuseWhileStarting(door.readiness());
    refuseOtherApi(door.only, request);
  });
  void app.register(async (scope) => {
    apiRoutes(scope, door);
  });
  void app.register(async (scope) => {
    jobRoutes(scope, door);
  });
  void app.register(async (scope) => {
    streamRoutes(scope, door);
  });
}

function serverOptions({ logger, random }: Pick<AppOptions, "logger" | "random">): FastifyServerOptions {
  return {
    logger:
      typeof logger === "object" ? { ...logger, serializers: { ...logger.serializers, req: loggedRequest } } : false,
    bodyLimit: LIMITS.requestBytesMax,
    requestTimeout: LIMITS.requestSeconds * 1000, // Fastify's own is none
    exposeHeadRoutes: false,
    genReqId: () => random.hex(8),
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 256 },
    ajv: {
      // Fastify's defaults drop unknown fields and would let a misspelt parameter pass.
      customOptions: { removeAdditional: false, coerceTypes: true, allErrors: true, useDefaults: true },
    },
  };
}

/** Neither query nor headers: they may hold keys. */
function loggedRequest(request: FastifyRequest) {
  return { method: request.method, path: request.url.split("?", 1)[0] };
}
