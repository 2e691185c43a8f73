import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../../../services/backends/object-store.ts";
import { CHECKS, verifyJob } from "../../../../services/batch-api/jobs/verify/verify.ts";
import { candidateJob } from "../../../../services/batch-api/jobs/idempotency.ts";
import { encodeStored, readObject } from "../../../../services/batch-api/jobs/stored.ts";
import type { JobSpec } from "../../../../services/protocol/jobs.ts";
import { apiKeys, jobKeys, workerName } from "../../../../services/protocol/keys.ts";
import { encodeLine } from "../../../../services/protocol/ledger.ts";
import {
  anEndedJob,
  aRunningJob,
  JOB,
  LEDGER_A,
  LEDGER_B,
  ledgerBytes,
  WORKER_A,
  WORKER_B,
} from "../../../support/a-job.ts";
import { aVersion } from "../../../support/builders.ts";
import { StepClock } from "../support.ts";

const KEYS = jobKeys(JOB.api, JOB.job);
const API = apiKeys(JOB.api);
const [LEDGER_OF_A, LEDGER_OF_B] = [KEYS.ledger(WORKER_A, 0), KEYS.ledger(WORKER_B, 0)];
const ERRORS = KEYS.part("errors-00000000.ndjson");

async function broken(store: ObjectStore): Promise<readonly string[]> {
  const { checks } = await verifyJob(store, JOB.api, JOB.job);
  return checks.flatMap(({ name, findings }) => findings.map(({ problem }) => `${name}: ${problem}`));
}

/** Puts other bytes in an object's or a log's place, as no code of ours can. */
async function rewrite(store: ObjectStore, key: string, change: (text: string) => string): Promise<void> {
  const before = (await store.get(key))?.bytes.toString() ?? "";
  const after = change(before);
  expect(after).not.toBe(before);
  await store.delete(key);
  await store.put(key, Buffer.from(after));
}

async function rewriteRecord(store: ObjectStore, key: string, change: (value: object) => object): Promise<void> {
  const found = await store.read(key);
  const value = JSON.parse(found?.bytes.toString() ?? "{}") as object;
  await store.swap(key, encodeStored(change(value)), found?.version);
}

const state = (store: ObjectStore, change: (value: { counts: object; at: object }) => object) =>
  rewriteRecord(store, KEYS.state, (value) => ({ ...value, ...change(value as { counts: object; at: object }) }));

const without = (line: number) => (text: string) =>
  text
    .split("\n")
    .filter((_, at) => at !== line)
    .join("\n");

/** What is broken, and a piece of the sentence that must say so, under the check's name. */
const CORRUPTIONS: readonly (readonly [string, RegExp, (store: ObjectStore) => Promise<unknown>])[] = [
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

const version = aVersion({ api: JOB.api, version: JOB.version });

async function deploy(store: ObjectStore): Promise<void> {
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

/** The same of a job that runs; nothing else may be said of it. */
const RUNNING: typeof CORRUPTIONS = [
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
const ALONE: typeof CORRUPTIONS = [
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
async function withUnsettled(store: ObjectStore): Promise<void> {
  await anEndedJob(store, { ledgerB: LEDGER_B.filter((line) => line.t !== "outcome" || line.batch !== 1) });
}

const UNSETTLED: typeof CORRUPTIONS = [
  [
    "every batch is settled, or skipped by an early end",
    /batch 1 has neither succeeded nor failed/,
    (store) => store.delete(KEYS.completion), // it would be blamed as well
  ],
];

/** What it says in words of its own follows from another check. */
const IMPLIED = ["no batch is reported failed before its last attempt"];

describe("verifyJob", () => {
  it("finds nothing wrong with a sound job, while it runs and when it has ended", async () => {
    const [running, ended] = [new MemoryStore({ clock: new StepClock() }), new MemoryStore({ clock: new StepClock() })];
    await aRunningJob(running, { ledgerA: LEDGER_A.slice(0, 4) });
    await anEndedJob(ended);

    expect(await broken(running)).toEqual([]);
    expect(await broken(ended)).toEqual([]);
    expect(await verifyJob(ended, JOB.api, JOB.job)).toMatchObject({ sound: true, final: true, batches: 4, items: 7 });
  });

  it.each(RUNNING)("names what is wrong with a job that runs: %s (%s)", async (name, sentence, corrupt) => {
    const store = new MemoryStore({ clock: new StepClock() });
    await aRunningJob(store, { ledgerA: LEDGER_A.slice(0, 4) });
    await deploy(store);
    expect(await broken(store)).toEqual([]);

    await corrupt(store);

    const said = await broken(store);
    expect(said.join("\n")).toMatch(sentence);
    expect([...new Set(said.map((text) => text.split(": ")[0]))]).toEqual([name]);
  });

  it.each(CORRUPTIONS)("names what is wrong: %s (%s)", async (name, sentence, corrupt) => {
    const store = new MemoryStore({ clock: new StepClock() });
    await anEndedJob(store);

    await corrupt(store);

    const said = (await broken(store)).filter((text) => text.startsWith(`${name}: `));
    expect(said.join("\n")).toMatch(sentence);
  });

  it("has a corruption for each of its checks", () => {
    const tried = new Set([...CORRUPTIONS, ...RUNNING].map(([name]) => name));

    expect(CHECKS.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([]);
  });

  it("has a damage for each of its checks that no other one finds", async () => {
    const alone = new Set<string>();
    const tables = [
      { rows: [...CORRUPTIONS, ...ALONE], put: anEndedJob },
      { rows: RUNNING, put: (store: ObjectStore) => aRunningJob(store, { ledgerA: LEDGER_A.slice(0, 4) }) },
      { rows: UNSETTLED, put: withUnsettled },
    ];
    for (const { rows, put } of tables) {
      for (const [name, sentence, corrupt] of rows) {
        const store = new MemoryStore({ clock: new StepClock() });
        await put(store);
        await deploy(store);
        await corrupt(store);
        const { checks } = await verifyJob(store, JOB.api, JOB.job);
        const found = checks.filter(({ result }) => result === "broken");
        const said = found.flatMap(({ findings }) => findings.map(({ problem }) => problem)).join("\n");
        if (found.length === 1 && found[0]?.name === name && sentence.test(said)) alone.add(name);
      }
    }

    expect(CHECKS.map(({ name }) => name).filter((name) => !alone.has(name))).toEqual(IMPLIED);
  });

  it("blames nothing that is so only while it is read", async () => {
    const store = new MemoryStore({ clock: new StepClock() });
    await aRunningJob(store, { ledgerA: LEDGER_A.slice(0, 4) });
    const marker = API.activeJob(JOB.job);
    await store.delete(marker);
    const really = store.size.bind(store);
    let looks = 0;
    store.size = (key) => {
      if (key === marker && (looks += 1) === 2) void store.put(marker, Buffer.from("{}"));
      return really(key);
    };

    expect(await broken(store)).toEqual([]);
    expect(looks).toBeGreaterThan(1);
  });

  it.each(["removing", "removed"])(
    "says that results are not kept any more (%s), and raises no alarm",
    async (word) => {
      const store = new MemoryStore({ clock: new StepClock() });
      await anEndedJob(store);
      const retention = {
        format: 1,
        state: word,
        at: 1_800_000_000_000,
        setting: "--keep-results",
        days: 30,
        writes: 1,
      };
      await store.swap(KEYS.retention, encodeStored(retention), undefined);
      for (const prefix of [KEYS.partsOfResults, KEYS.partsOfErrors, KEYS.parts, KEYS.indexes]) {
        for (const { key } of (await store.list(prefix)).entries) await store.delete(key);
      }

      const report = await verifyJob(store, JOB.api, JOB.job);

      expect(report).toMatchObject({ sound: true, final: true, batches: 4, items: 7 });
      expect(report.results_removed).toBe("2027-01-15: they are kept for 30 days after a job's end (--keep-results)");
      expect(report.checks.filter(({ result }) => result === "removed").length).toBeGreaterThan(5);
    },
  );

  it("tells every object of a damaged job that cannot be read, with the way to mend it", async () => {
    const store = new MemoryStore({ clock: new StepClock() });
    await anEndedJob(store);
    await rewrite(store, KEYS.cut, () => "[");
    await rewrite(store, KEYS.manifest, () => "");

    const { sound, checks } = await verifyJob(store, JOB.api, JOB.job);

    expect(sound).toBe(false);
    const mend = "restore it from a backup, or submit the job again";
    expect(checks[0]?.findings).toEqual([
      { problem: `${KEYS.cut} is not JSON: it was damaged after it was written`, mend },
      { problem: `${KEYS.manifest} is empty: it was damaged after it was written`, mend },
    ]);
  });

  it("says of a running job which checks cannot be made yet", async () => {
    const store = new MemoryStore({ clock: new StepClock() });
    await aRunningJob(store);

    const { checks } = await verifyJob(store, JOB.api, JOB.job);

    expect(checks.filter(({ result }) => result === "not_yet").map(({ name }) => name)).toContain(
      "parts hold the bytes and rows that the manifest proves",
    );
  });
});
