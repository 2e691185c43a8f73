/** An API as the modern door says it. Values of environment variables stay out: they may be secrets. */
import type { HandlerSpec } from "../../protocol/api-spec.ts";
import type { ApiView } from "../apis/api-service.ts";
import { isoTime } from "./job-wire.ts";

function apiPath(api: string): string {
  return `/v1/apis/${encodeURIComponent(api)}`;
}

function handlerToWire(handler: HandlerSpec) {
  if (handler.kind === "python") return handler;
  const containers = handler.containers.map(({ env, ...container }) => ({ ...container, env_names: Object.keys(env) }));
  return { ...handler, containers };
}

export function apiToWire(view: ApiView) {
  const { api, version, spec, created_at } = view.current;
  return {
    name: api,
    version,
    created_at: timeOf(created_at),
    handler: handlerToWire(spec.handler),
    compute: spec.compute,
    config: spec.config,
    env_names: Object.keys(spec.env),
    workers: spec.workers,
    batch_size: spec.batch_size,
    attempts: spec.attempts,
    isolate: spec.isolate,
    batch_timeout: spec.batch_timeout_seconds,
    versions: view.versions.map((one) => ({ version: one.version, created_at: timeOf(one.created_at) })),
    links: { self: apiPath(api), jobs: `${apiPath(api)}/jobs`, cortex: `/${encodeURIComponent(api)}` },
  };
}

/** A version that a stack wrote has none. */
function timeOf(createdAt: number | null): string | null {
  return createdAt === null ? null : isoTime(createdAt);
}
