/** A job as the service answers it. */
import type { Job } from "../../cli/bar.ts";

export function aJobOnWire(changes: Partial<Job> = {}): Job {
  return {
    job_id: "0123456789abcdef",
    api: "digits",
    retry_of: null,
    version: "0123456789ab",
    state: "running",
    splitting: false,
    reason: null,
    message: "",
    submitted_at: "2026-01-02T03:04:05.000Z",
    started_at: "2026-01-02T03:04:06.000Z",
    ended_at: null,
    workers: { asked: 2, pending: 0, starting: 0, ready: 2, lost: 0, sick: 0 },
    batches: { total: 100, complete: true, succeeded: 50, failed: 0, running: 2, waiting: 48 },
    items: { total: 10_000, succeeded: 5_000, failed: 0, running: 200, waiting: 4_800 },
    attempts_failed: 0,
    rate_items_per_second: 71.26,
    estimated_seconds_left: 70.2,
    config: {},
    timeout: null,
    priority: 0,
    labels: {},
    attempts: 3,
    isolate: true,
    dead_letter_queue: null,
    batch_timeout: null,
    input: { kind: "item_list", batch_size: 100, items: 10_000, bytes: 20_000 },
    warnings: [],
    links: {
      self: "/v1/apis/digits/jobs/0123456789abcdef",
      results: "",
      errors: "",
      logs: "",
      events: "",
      stop: "",
      retry: "",
    },
    ...changes,
  };
}
