/** Damages of a job that has ended. */
import type { JobSpec } from "../../../../services/protocol/jobs.ts";
import { jobKeys, workerName } from "../../../../services/protocol/keys.ts";
import { encodeLine } from "../../../../services/protocol/ledger.ts";
import { candidateJob } from "../../../../services/batch-api/jobs/idempotency.ts";
import { encodeStored, readObject } from "../../../../services/batch-api/jobs/stored.ts";
import type { ObjectStore } from "../../../../services/backends/object-store.ts";
import { JOB, ledgerBytes, WORKER_A, WORKER_B } from "../../../support/a-job.ts";
import {
  API,
  type Damage,
  ERRORS,
  KEYS,
  LEDGER_OF_A,
  LEDGER_OF_B,
  rewrite,
  rewriteRecord,
  state,
  without,
} from "./damages.ts";

/** What is broken; other checks may notice as well. */
export const ENDED: readonly Damage[] = [
  [
    "split files follow each other, and are full",
    /those before it end at batch 0/,
    (store) => rewrite(store, KEYS.split(0), (text) => text.replace('"first_item":0', '"first_item":2')),
  ],
  [
    "totals are those of the split",
    /counts 1 split files, 4 batches and 8 items/,
    (store) => rewrite(store, KEYS.splitEnd, (text) => text.replace('"items":7', '"items":8')),
  ],
  [
    "totals are those of the split",
    /batch 1 has 1 items where the batch size is 2/,
    (store) => rewrite(store, KEYS.split(0), (text) => text.replace("[0,4,8,2]", "[0,4,8,1]")),
  ],
  [
    "batches hold the staged input once and in order",
    /batch 2: bytes 6 to 12 .* do not lie/,
    (store) => rewrite(store, KEYS.split(0), (text) => text.replace("[0,8,12,2]", "[0,6,12,2]")),
  ],
  [
    "batches hold the staged input once and in order",
    /4 bytes .* before batch 1 are in no batch/,
    (store) => rewrite(store, KEYS.split(0), (text) => text.replace("[0,0,4,2],[0,4,8,2]", "[0,0,2,2],[0,6,8,2]")),
  ],
  [
    "batches hold the staged input once and in order",
    /batch 3 says 1 items, and its bytes hold 0 lines/,
    (store) => rewrite(store, KEYS.items(0), (text) => text.replace("6", " ")),
  ],
  [
    "ledgers and verdicts are whole lines of their own worker",
    /at byte \d+ that is not JSON/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace('"ready"', "ready")),
  ],
  [
    "ledgers and verdicts are whole lines of their own worker",
    /does not begin with its worker/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace(WORKER_A, WORKER_B)),
  ],
  [
    "outcomes fit their batches",
    /says "all" with 1 of 2 items failed/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace('"failed":0', '"failed":1')),
  ],
  [
    "outcomes fit their batches",
    /a batch that the split does not have/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace('"batch":0', '"batch":9')),
  ],
  [
    "a later attempt follows a failed one",
    /batch 2 was tried a second time/,
    (store) => rewrite(store, LEDGER_OF_B, without(3)),
  ],
  [
    "deaths are charged to batches that the dead had started",
    /charges the death of 1-1-1-bb to batch 0/,
    (store) =>
      store.append(
        KEYS.verdict(1, 0),
        Buffer.from(encodeLine({ t: "died", batch: 0, attempt: 1, worker: WORKER_B, cause: "worker_died" })),
        0,
      ),
  ],
  [
    "sealed parts are as they were sealed",
    /of another content/,
    (store) => rewrite(store, KEYS.results(WORKER_A, 0), (text) => text.replace("r0", "r9")),
  ],
  [
    "rows of one part do not overlap",
    /where those before end at/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace(/"start":[1-9]\d*/, '"start":1')),
  ],
  [
    "the cut lies on line ends within the logs",
    /an acknowledged append was undone/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.slice(0, 200)),
  ],
  [
    "the cut lies on line ends within the logs",
    /not at the end of a line/,
    (store) => rewrite(store, KEYS.cut, (text) => text.replace(/:(\d+)\}/, ":100}")),
  ],
  [
    "every batch is settled, or skipped by an early end",
    /batch 1 has neither succeeded nor failed/,
    (store) => rewrite(store, LEDGER_OF_B, without(2)),
  ],
  [
    "final counts are those of the ledgers up to the cut",
    /the final state says items_failed = 3/,
    (store) => state(store, ({ counts }) => ({ counts: { ...counts, items_failed: 3 } })),
  ],
  [
    "final counts are those of the ledgers up to the cut",
    /manifest.json says batches = 5/,
    (store) => rewrite(store, KEYS.manifest, (text) => text.replace('"batches":4', '"batches":5')),
  ],
  [
    "progress is within what the ledgers show",
    /more settled batches than batches/,
    (store) => state(store, ({ counts }) => ({ counts: { ...counts, batches_succeeded: 9 } })),
  ],
  [
    "the manifest names this job and what was skipped",
    /skipped.items = 1, and it is 0/,
    (store) =>
      rewrite(store, KEYS.manifest, (text) =>
        text.replace('"skipped":{"batches":0,"items":0', '"skipped":{"batches":0,"items":1'),
      ),
  ],
  [
    "states were entered along the table of moves",
    /entered completed_with_failures and stopped/,
    (store) => state(store, ({ at }) => ({ at: { ...at, stopped: 2_000_000_000_000 } })),
  ],
  [
    "the submission has made this job and no other",
    /was made of the same submission/,
    async (store) => {
      const spec = await readObject<JobSpec>(store, KEYS.spec);
      const twin = candidateJob({ job: JOB.job, submission: spec?.submission ?? "", body: "" }, 1);
      await store.put(jobKeys(JOB.api, twin).spec, encodeStored({ ...spec, job: twin }));
    },
  ],
  [
    "the record of its lane is no older than the job's state",
    /is only at epoch 0, term 1: it was put back/,
    (store) => rewriteRecord(store, API.lane(0), (value) => ({ ...value, epoch: 0 })),
  ],
  [
    "the record of its lane is no older than the job's state",
    /lanes\/0.json is not there/,
    (store) => store.delete(API.lane(0)),
  ],
  [
    "its workers are of lanes that it had",
    /of a worker of an epoch behind 1/,
    async (store) => {
      const worker = workerName(7, 1, 0, "zz");
      await store.append(KEYS.ledger(worker, 0), ledgerBytes([{ t: "worker", format: 1, worker }]), 0);
    },
  ],
  ["an early end has its reason", /nobody asked for it/, (store) => endedEarly(store, "stopped")],
  [
    "an early end has its reason",
    /timed out after .*, and it has no timeout/,
    (store) => endedEarly(store, "timed_out"),
  ],
  [
    "the completion hook's end is told by a worker of this job",
    /by 1-1-7-zz, which has no ledger/,
    (store) => rewriteRecord(store, KEYS.completion, (value) => ({ ...value, worker: "1-1-7-zz" })),
  ],
  [
    "the completion hook came behind all batches",
    /still claimed/,
    (store) => rewriteRecord(store, KEYS.completion, (value) => ({ ...value, state: "claimed" })),
  ],
  [
    "the final state follows from cause, hook and counts",
    /make it failed/,
    (store) =>
      rewriteRecord(store, KEYS.completion, (value) => ({ ...value, state: "failed", error: "e", traceback: "" })),
  ],
  ["a final job has a cut, and stays final", /cut.json is not there/, (store) => store.delete(KEYS.cut)],
  [
    "markers say where the job is listed",
    /no marker lists it/,
    (store) => store.delete(API.endedJob("completed_with_failures", JOB.job)),
  ],
  [
    "an ended job holds no lane",
    /still names it/,
    (store) => rewriteRecord(store, API.lane(0), (value) => ({ ...value, job: JOB.job })),
  ],
  [
    "parts hold the bytes and rows that the manifest proves",
    /another sha256/,
    (store) => rewrite(store, ERRORS, (text) => text.replace("boom", "bomb")),
  ],
  [
    "the index says where each winner's rows are",
    /index says no rows of batch 0/,
    (store) => rewrite(store, KEYS.index(0), (text) => text.replace(/\[\[[^\]]*\]/, "[null")),
  ],
  [
    "each result row is of its batch, and there once",
    /index 0 is there twice/,
    (store) => rewrite(store, KEYS.results(WORKER_A, 0), (text) => text.replace('"index":1', '"index":0')),
  ],
  [
    "no batch is reported failed before its last attempt",
    /batch 3 is reported failed after 1 failed attempts of 2/,
    (store) => rewrite(store, LEDGER_OF_B, without(4)),
  ],
  [
    "each failed item has one error row, in input order",
    /batch 3 lost 1 items, and 0 error rows/,
    (store) => rewrite(store, ERRORS, without(1)),
  ],
];

/** As a job is that was ended early after its last batch, without the wish for it. */
async function endedEarly(store: ObjectStore, kind: "stopped" | "timed_out"): Promise<void> {
  await state(store, ({ at }) => {
    const entered = Object.fromEntries(Object.entries(at).filter(([name]) => name !== "completed_with_failures"));
    return { state: kind, cause: { kind }, at: { ...entered, [kind]: 1_800_000_000_000 } };
  });
  await rewriteRecord(store, KEYS.completion, () => ({ opening: 1, writes: 4, state: "closed", cause: kind }));
  await store.delete(API.endedJob("completed_with_failures", JOB.job));
  await store.put(API.endedJob(kind, JOB.job), Buffer.alloc(0));
}
