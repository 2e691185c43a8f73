import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../../../services/backends/object-store.memory.ts";
import type { ObjectStore } from "../../../../services/backends/object-store.ts";
import { CHECKS, verifyJob } from "../../../../services/batch-api/jobs/verify/verify.ts";
import { retriedChecks } from "../../../../services/batch-api/jobs/verify/retried.ts";
import { encodeStored } from "../../../../services/batch-api/jobs/stored.ts";
import { anEndedJob, aRunningJob, JOB, LEDGER_A } from "../../../support/a-job.ts";
import { StepClock } from "../support.ts";
import { ALONE, deploy, RUNNING, UNSETTLED, withUnsettled } from "./damages.alone.ts";
import { ENDED } from "./damages.ended.ts";
import { API, KEYS, rewrite } from "./damages.ts";

async function broken(store: ObjectStore): Promise<readonly string[]> {
  const { checks } = await verifyJob(store, JOB.api, JOB.job);
  return checks.flatMap(({ name, findings }) => findings.map(({ problem }) => `${name}: ${problem}`));
}

/** Checks of any job; those of retries have damages of their own, to a family of jobs. */
const OWN = CHECKS.filter((check) => !retriedChecks.includes(check)).map(({ name }) => name);

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

  it.each(ENDED)("names what is wrong: %s (%s)", async (name, sentence, corrupt) => {
    const store = new MemoryStore({ clock: new StepClock() });
    await anEndedJob(store);

    await corrupt(store);

    const said = (await broken(store)).filter((text) => text.startsWith(`${name}: `));
    expect(said.join("\n")).toMatch(sentence);
  });

  it("has a corruption for each of its checks", () => {
    const tried = new Set([...ENDED, ...RUNNING].map(([name]) => name));

    expect(OWN.filter((name) => !tried.has(name))).toEqual([]);
  });

  it("has a damage for each of its checks that no other one finds", async () => {
    const alone = new Set<string>();
    const tables = [
      { rows: [...ENDED, ...ALONE], put: anEndedJob },
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

    expect(OWN.filter((name) => !alone.has(name))).toEqual(IMPLIED);
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
