/** Parts of a worker as tests of the worker want them. */
import { queueLane, workerName } from "../../services/protocol/keys.ts";
import type { BatchMessage } from "../../services/protocol/messages.ts";
import type { WorkerIdentity } from "../../services/worker/context.ts";
import type { AttemptEnd } from "../../services/worker/settler.ts";

/** Worker 0 of the first generation of job `e00000000000000a` of API `digits`, on lane 0 in epoch 1. */
export function anIdentity(over: Partial<WorkerIdentity> = {}): WorkerIdentity {
  return {
    api: "digits",
    job: "e00000000000000a",
    lane: 0,
    queueLane: queueLane("digits", 0),
    epoch: 1,
    generation: 1,
    index: 0,
    name: workerName(1, 1, 0, "aa"),
    ...over,
  };
}

/** An attempt that succeeded with one row of `text`. */
export function aSuccess(batch: number, text = `{"index":${String(batch)},"result":1}\n`): AttemptEnd {
  return {
    line: { batch, attempt: 1, result: "all", items: 1, failed: 0, seconds: 0.25 },
    rows: { bytes: Buffer.from(text), count: 1 },
    errors: [],
  };
}

export function aFailure(batch: number, over: Partial<AttemptEnd["line"]> = {}): AttemptEnd {
  const { attempt = 1 } = over;
  return {
    line: { batch, attempt, result: "none", items: 1, failed: 1, seconds: 0.25, cause: "raised", ...over },
    rows: null,
    errors: [
      { batch, attempt, cause: "raised", error: "boom", traceback: "tb", items: [[batch, 0, 0, 1]], uris: ["store:x"] },
    ],
  };
}

/** One item `<batch>` a batch, staged as a line of two bytes in `store:items`. */
export function aOneItemMessage(batch: number, over: Partial<BatchMessage> = {}): BatchMessage {
  const span = { uri: "store:items", etag: "", format: "lines" as const, items: 1 };
  return {
    kind: "batch",
    format: 1,
    job: "e00000000000000a",
    epoch: 1,
    batch,
    attempt: 1,
    first_item: batch,
    pointer: { items: 1, spans: [{ ...span, start: 2 * batch, end: 2 * batch + 2 }] },
    ...over,
  };
}
