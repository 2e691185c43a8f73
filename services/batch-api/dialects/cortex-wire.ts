/** Jobs as Cortex said them (contract B.4, B.6). Where its code and its documents differed, both names are there. */
import type { ApiSpec } from "../../protocol/api-spec.ts";
import { apiOf, type ApiVersion, type JobSpec } from "../../protocol/jobs.ts";
import type { JobView } from "../jobs/job-service.ts";
import { endedAt, isoTime } from "../routes/job-wire.ts";
import { STATUS_OF_REASON, STATUS_OF_STATE } from "./cortex-dialects.ts";
import type { CortexDialect } from "./cortex-dialects.ts";

export function specToCortex(spec: JobSpec, dialect: CortexDialect) {
  const time = isoTime(spec.accepted_at);
  const further = {
    kind: "BatchAPI",
    spec_id: spec.version,
    predictor_id: spec.version,
    handler_id: spec.version,
    total_batch_count: 0,
  };
  return {
    job_id: spec.job,
    api_name: apiOf(spec),
    ...Object.fromEntries(dialect.specFields.map((field) => [field, further[field]])),
    workers: spec.workers,
    config: Object.keys(spec.config).length === 0 ? null : spec.config,
    timeout: spec.timeout_seconds,
    sqs_dead_letter_queue: spec.dead_letter_queue,
    api_id: spec.version,
    sqs_url: "",
    start_time: time,
    created_time: time,
  };
}

export function jobToCortex(view: JobView, version: ApiVersion, endpoint: string, dialect: CortexDialect) {
  const { counts, spec } = view;
  const ended = endedAt(view);
  const average = counts.batches_succeeded === 0 ? null : counts.handler_seconds / counts.batches_succeeded;
  const metrics = {
    succeeded: counts.batches_succeeded,
    // Attempts, as it always was: the word misled its users, but their scripts know it so.
    failed: counts.attempts_failed,
    average_time_per_batch: average,
    avg_time_per_batch: average,
  };
  const top = dialect.metricsIn === "metrics";
  return {
    job_status: {
      ...specToCortex(spec, dialect),
      ...(counts.batches === 0 ? {} : { total_batch_count: counts.batches }),
      status: statusOf(view, dialect),
      ...(ended === null ? {} : { end_time: isoTime(ended) }),
      batches_in_queue: view.batches_waiting + view.batches_running,
      ...(top ? {} : { batch_metrics: metrics }),
      worker_counts: workersOf(view, dialect),
    },
    ...(top ? { metrics } : {}),
    api_spec: apiSpecToCortex(version),
    endpoint: dialect.endpoint === "query" ? `${endpoint}?jobID=${spec.job}` : `${endpoint}/${spec.job}`,
  };
}

function statusOf(view: JobView, dialect: CortexDialect): string {
  const plain =
    view.state === "failed" && view.cause?.kind === "failed"
      ? STATUS_OF_REASON[view.cause.reason]
      : STATUS_OF_STATE[view.state];
  // There, no worker ran while batches were made; a job that works already is running, whatever else is still cut.
  const begun = view.counts.batches_succeeded + view.counts.batches_failed + view.batches_running > 0;
  const enqueuing = view.state === "running" && view.splitting && !begun;
  if (enqueuing) return `${dialect.statusPrefix}enqueuing`;
  return dialect.statusPrefix + (plain === "pending" ? dialect.pending : plain);
}

function workersOf(view: JobView, dialect: CortexDialect): Readonly<Record<string, number>> {
  const { pending, starting, ready, lost } = view.workers;
  const named: (readonly [string, number])[] = [
    [dialect.workers.pending, pending],
    [dialect.workers.starting, starting],
    [dialect.workers.ready, ready],
    [dialect.workers.lost, lost],
  ];
  if (!dialect.zeroWorkersShown) return Object.fromEntries(named.filter(([, count]) => count > 0));
  return { ...Object.fromEntries(named), succeeded: 0, stalled: 0, unknown: 0 };
}

function runningToCortex({ handler, config }: ApiSpec) {
  if (handler.kind === "python") return { handler: { type: handler.kind, path: handler.path, config } };
  const containers = handler.containers.map(({ name, image, command, args, compute }) => {
    return { name, image, command, args, compute };
  });
  return { pod: { port: handler.port, max_concurrency: handler.processes, containers } };
}

/** Environment values are left out: they may be secrets. */
export function apiSpecToCortex(version: ApiVersion) {
  const { spec } = version;
  return {
    name: version.api,
    kind: "BatchAPI",
    id: version.version,
    spec_id: version.version,
    handler_id: version.version,
    predictor_id: version.version,
    deployment_id: version.version,
    ...runningToCortex(spec),
    compute: spec.compute,
    networking: { endpoint: `/${version.api}` },
    last_updated: Math.trunc((version.created_at ?? 0) / 1000),
  };
}
