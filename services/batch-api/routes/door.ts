import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import type { Clock, Random } from "../../backends/clock.ts";
import type { ApiService } from "../apis/api-service.ts";
import type { JobService } from "../jobs/job-service.ts";

/** How the service is: `starting` refuses calls with 503, `unwell` only shows at /health/ready. */
export type Readiness =
  | { readonly kind: "ready" }
  /** `why` is a sentence. */
  | { readonly kind: "starting" | "unwell"; readonly why: string };

/** What every door is built from. */
export interface Door {
  readonly jobs: JobService;
  readonly apis: ApiService;
  /** Shown at /metrics; the doors add their own. */
  readonly metrics: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly readiness: () => Readiness;
  /** The one API that the service stands for; absent: any. */
  readonly only?: string;
  /** Seconds between heartbeats of an event stream; default 15. */
  readonly heartbeatSeconds: number;
}

/** Fastify with TypeBox types. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
