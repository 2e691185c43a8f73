/** Damages that only one check finds: of jobs that run, and of ended ones where everything else is consistent. */
import type { ObjectStore } from "../../../../services/backends/object-store.ts";
import { encodeStored } from "../../../../services/batch-api/jobs/stored.ts";
import { encodeLine } from "../../../../services/protocol/ledger.ts";
import { anEndedJob, JOB, LEDGER_B, WORKER_B } from "../../../support/a-job.ts";
import { aVersion } from "../../../support/builders.ts";
import { API, type Damage, KEYS, LEDGER_OF_A, LEDGER_OF_B, rewrite, state } from "./damages.ts";

const version = aVersion({ api: JOB.api, version: JOB.version });

export async function deploy(store: ObjectStore): Promise<void> {
  await store.put(API.version(version.version), encodeStored(version));
  await store.put(API.project(version.project), Buffer.from("archive"));
  await store.swap(API.current, encodeStored({ version: version.version, generation: 1 }), undefined);
}

const COUNTS = {
  ...{ batches: 0, items: 0, complete: false, batches_succeeded: 0, batches_failed: 0 },
  ...{ items_succeeded: 0, items_failed: 0, attempts_failed: 0, handler_seconds: 0 },
};
const LIVE = {
  ...{ counts: COUNTS, splitting: false, batches_running: 0, batches_waiting: 0, items_per_second: 0 },
  ...{ estimated_seconds_left: null, workers: { asked: 1, pending: 0, starting: 0, ready: 1, lost: 0 }, message: "" },
};

/** Of a job that runs; nothing else may be said of it. */
export const RUNNING: readonly Damage[] = [
  ["the code that it runs is there", /the job runs, is not there/, (store) => store.delete(API.version(JOB.version))],
  ["the code that it runs is there", /holds the job's code/, (store) => store.delete(API.project(version.project))],
  [
    "markers say where the job is listed",
    /no driver will look for it/,
    (store) => store.delete(API.activeJob(JOB.job)),
  ],
  [
    "ledgers and verdicts are whole lines of their own worker",
    /not JSON/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace('"ready"', "ready")),
  ],
  [
    "verdicts are of batches and attempts of the job",
    /of a batch that the split does not have/,
    (store) =>
      store.append(
        KEYS.verdict(1, 0),
        Buffer.from(encodeLine({ t: "died", batch: 99, attempt: 1, worker: WORKER_B, cause: "worker_died" })),
        0,
      ),
  ],
  [
    "progress is within what the ledgers show",
    /the state is ahead of ledgers and split/,
    (store) => state(store, () => ({ counts: { ...COUNTS, batches: 4, items: 7, batches_succeeded: 4 } })),
  ],
  [
    "progress is within what the ledgers show",
    /batches_waiting = -1, below zero/,
    (store) => state(store, () => ({ live: { ...LIVE, batches_waiting: -1 } })),
  ],
  [
    "nothing that follows from the cut came before it",
    /parts\/… is there, and .*cut.json is not/,
    (store) => store.put(KEYS.part("x"), Buffer.from("")),
  ],
  [
    "the completion hook came behind all batches",
    /is open while the job is running/,
    (store) => store.swap(KEYS.completion, encodeStored({ opening: 1, writes: 1, state: "open" }), undefined),
  ],
  ["its objects can be read", /end.json is empty/, (store) => rewrite(store, KEYS.splitEnd, () => "")],
  ["its objects can be read", /spec.json is not JSON/, (store) => rewrite(store, KEYS.spec, () => "{{")],
  ["its objects can be read", /spec.json is gone/, (store) => store.delete(KEYS.spec)],
  [
    "its objects can be read",
    /spec.json is not there, and other objects/,
    async (store) => {
      await store.delete(KEYS.spec);
      await store.delete(API.activeJob(JOB.job));
      await store.delete(KEYS.state);
    },
  ],
  [
    "outcomes fit their batches",
    /says "all" with 1 of 2 items failed/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace('"failed":0', '"failed":1')),
  ],
  [
    "rows of one part do not overlap",
    /where those before end at/,
    (store) => rewrite(store, LEDGER_OF_B, (text) => text.replace(/"start":[1-9]\d*/, '"start":1')),
  ],
];

/** Damages of an ended job that leave everything else consistent. */
export const ALONE: readonly Damage[] = [
  [
    "a later attempt follows a failed one",
    /batch 2 was tried a second time/,
    (store) => rewrite(store, LEDGER_OF_B, (text) => text.replace('"attempt":1,"seconds":0.25,"cause":"raised","batch":2', '"attempt":2,"seconds":0.25,"cause":"raised","batch":2')), // prettier-ignore
  ],
  [
    "sealed parts are as they were sealed",
    /of another content/,
    (store) => rewrite(store, LEDGER_OF_A, (text) => text.replace(/"sha256":"\w{4}/, '"sha256":"0000')),
  ],
  [
    "the cut lies on line ends within the logs",
    /counts 5 bytes of .*zz-00000000, which is not there/,
    (store) =>
      rewrite(store, KEYS.cut, (text) => text.replace('"ledgers":{', `"ledgers":{"${KEYS.ledger("zz", 0)}":5,`)),
  ],
  [
    "the index says where each winner's rows are",
    /index says 0 rows of batch 3/,
    (store) => rewrite(store, KEYS.index(0), (text) => text.replace(/null\]\}/, "[1,26,26,0]]}")),
  ],
  [
    "each result row is of its batch, and there once",
    /another batch's item/,
    (store) =>
      rewrite(store, KEYS.index(0), (text) => {
        const index = JSON.parse(text) as { batches: unknown[] };
        const [first, second, third, ...rest] = index.batches;
        return JSON.stringify({ ...index, batches: [third, second, first, ...rest] });
      }),
  ],
  [
    "each failed item has one error row, in input order",
    /batch 3 lost 1 items, and 0 error rows/,
    (store) => rewrite(store, KEYS.manifest, (text) => text.replace(/"errors":\[[^\]]*\]/, '"errors":[]')),
  ],
];

/** The job with a batch that no attempt settled, and everything else made of its ledgers. */
export async function withUnsettled(store: ObjectStore): Promise<void> {
  await anEndedJob(store, { ledgerB: LEDGER_B.filter((line) => line.t !== "outcome" || line.batch !== 1) });
}

export const UNSETTLED: readonly Damage[] = [
  [
    "every batch is settled, or skipped by an early end",
    /batch 1 has neither succeeded nor failed/,
    (store) => store.delete(KEYS.completion), // it would be blamed as well
  ],
];
