/** A job as the modern door says it: snake_case, times in ISO 8601 UTC, durations in seconds. */
import { apiOf, type JobInput } from "../../protocol/jobs.ts";
import { FINAL_STATES, isFinal } from "../../protocol/states.ts";
import type { JobView } from "../jobs/job-service.ts";

const FIRST_PATHS = 10;

export function jobPath(api: string, job: string): string {
  return `/v1/apis/${encodeURIComponent(api)}/jobs/${encodeURIComponent(job)}`;
}

export function isoTime(unixMilliseconds: number): string {
  return new Date(unixMilliseconds).toISOString();
}

/** Unix milliseconds of the job's end; null while it lives. */
export function endedAt(view: JobView): number | null {
  if (!isFinal(view.state)) return null;
  return FINAL_STATES.map((state) => view.at[state]).find((at) => at !== undefined) ?? null;
}

export function jobToWire(view: JobView) {
  const { spec, counts } = view;
  const ended = endedAt(view);
  const started = view.at.running ?? null;
  return {
    job_id: spec.job,
    api: apiOf(spec),
    version: spec.version,
    retry_of: spec.input.kind === "retry" ? spec.input.retry_of : null,
    state: view.state,
    splitting: view.splitting,
    reason: view.cause?.kind === "failed" ? view.cause.reason : null,
    message: view.message,
    submitted_at: isoTime(spec.accepted_at),
    started_at: started === null ? null : isoTime(started),
    ended_at: ended === null ? null : isoTime(ended),
    workers: { ...view.workers, sick: view.workers.sick ?? 0 },
    batches: {
      total: counts.batches,
      complete: counts.complete,
      succeeded: counts.batches_succeeded,
      failed: counts.batches_failed,
      running: view.batches_running,
      waiting: view.batches_waiting,
    },
    items: itemsToWire(view),
    attempts_failed: counts.attempts_failed,
    rate_items_per_second: view.items_per_second,
    estimated_seconds_left: view.estimated_seconds_left,
    config: spec.config,
    timeout: spec.timeout_seconds,
    priority: spec.priority,
    labels: spec.labels,
    attempts: spec.attempts,
    isolate: spec.isolate,
    dead_letter_queue: spec.dead_letter_queue,
    batch_timeout: spec.batch_timeout_seconds,
    input: inputToWire(spec.input),
    warnings: [...spec.warnings, ...(view.warnings ?? [])],
    links: linksOf(apiOf(spec), spec.job),
  };
}

/** Batches are what is held and what waits; of items that is told by the batch's size, never more than are left. */
function itemsToWire({ spec, counts, state, batches_running: batches }: JobView) {
  const { items: total, items_succeeded: succeeded, items_failed: failed } = counts;
  const left = isFinal(state) ? 0 : Math.max(0, total - succeeded - failed);
  const running = Math.min(left, batches * spec.input.batch_size);
  return { total, succeeded, failed, running, waiting: left - running };
}

function inputToWire(input: JobInput) {
  if (input.kind === "item_list") return input;
  if (input.kind === "retry") {
    const { kind, batch_size, root, retried } = input;
    return { kind, batch_size, root, retried };
  }
  const { kind, batch_size, paths, includes, excludes } = input;
  return { kind, batch_size, paths: paths.length, first_paths: paths.slice(0, FIRST_PATHS), includes, excludes };
}

function linksOf(api: string, job: string) {
  const self = jobPath(api, job);
  return {
    self,
    results: `${self}/results`,
    errors: `${self}/errors`,
    logs: `${self}/logs`,
    events: `${self}/events`,
    stop: `${self}/stop`,
    retry: `${self}/retry`,
  };
}
