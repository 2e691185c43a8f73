import { describe, expect, it } from "vitest";
import type { JobView } from "../../services/batch-api/jobs/job-service.ts";
import { jobToWire } from "../../services/batch-api/routes/job-wire.ts";
import { aJobSpec } from "../support/builders.ts";

const RUNNING: JobView = {
  spec: aJobSpec({ input: { kind: "item_list", batch_size: 10, items: 47, bytes: 100 } }),
  state: "running",
  splitting: false,
  cause: null,
  message: "",
  counts: {
    batches: 5,
    items: 47,
    complete: true,
    batches_succeeded: 1,
    batches_failed: 1,
    items_succeeded: 17,
    items_failed: 3,
    attempts_failed: 3,
    handler_seconds: 1,
  },
  batches_running: 1,
  batches_waiting: 2,
  workers: { asked: 2, pending: 0, starting: 0, ready: 2, lost: 0 },
  items_per_second: 1,
  estimated_seconds_left: 27,
  at: { pending: 0 },
};

describe("a job on the wire", () => {
  it("tells of items what runs and what waits, never more than are left", () => {
    const allOut = { ...RUNNING, batches_running: 3, batches_waiting: 0 };

    expect(jobToWire(RUNNING).items).toEqual({ total: 47, succeeded: 17, failed: 3, running: 10, waiting: 17 });
    expect(jobToWire(allOut).items).toMatchObject({ running: 27, waiting: 0 });
  });

  it("has nothing waiting once it is final: what was not settled was skipped", () => {
    expect(jobToWire({ ...RUNNING, state: "stopped", batches_running: 0 }).items).toMatchObject({
      running: 0,
      waiting: 0,
    });
  });
});
