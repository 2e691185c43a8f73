import { describe, expect, it } from "vitest";
import { encodeStored, readRecord } from "../../../services/batch-api/jobs/stored.ts";
import { refuseRemovedResults } from "../../../services/batch-api/jobs/kept-results.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import type { RetentionRecord } from "../../../services/protocol/retention.ts";
import { NOW } from "../jobs/support.ts";
import {
  aJanitor,
  allKeys,
  API,
  aStore,
  DAY,
  forever,
  jobAt,
  KEYS,
  keysOf,
  passOn,
  putActive,
  putEnded,
  rowsOf,
} from "./support.ts";

const JOB = jobAt(NOW);
const retry = (of: string) => ({
  input: { kind: "retry", batch_size: 2, retry_of: of, root: of, retried: "failed", remaining: false } as const,
});

/** A job that ended now, and a janitor that passes after so many days each. */
async function after(...days: readonly number[]) {
  const { store, clock } = await aStore();
  await putEnded(store, JOB);
  const { janitor, said } = aJanitor(store, clock);
  await passOn(janitor, clock, days);
  return { store, clock, janitor, said };
}

describe("retention", () => {
  it("leaves a job alone until its results are due, counted from its end", async () => {
    const { store } = await after(1, 29.9);

    expect(await keysOf(store, JOB)).not.toContain("retention.json");
    await refuseRemovedResults(store, { api: API, job: JOB });
  });

  it("announces the end of results on their day, with the setting, and removes nothing yet", async () => {
    const { store } = await after(30);

    expect(await allKeys(store)).toEqual(expect.arrayContaining(rowsOf(JOB)));
    await expect(refuseRemovedResults(store, { api: API, job: JOB })).rejects.toMatchObject({
      code: "results_removed",
      status: 410,
      message: `Job ${JOB} keeps no results since ${new Date(NOW + 30 * DAY).toISOString().slice(0, 10)}: they are kept for 30 days after a job's end (THE_SETTING).`,
    });
  });

  it("removes rows and index when no submission of before can be under way, and keeps the record", async () => {
    const { store, said } = await after(30, 31.9, 32, 32.1, 32.2);

    const left = await keysOf(store, JOB);
    expect(left.filter((key) => /^(results|errors|parts|index)/.test(key))).toEqual([]);
    expect(left).toEqual(
      expect.arrayContaining(["spec.json", "state.json", "manifest.json", "input/items-00000000.ndjson"]),
    );
    expect(said).toEqual([]);
  });

  it("keeps rows and index that long after the announcement, however late that came", async () => {
    const { store } = await after(300, 301, 301.9);

    expect(await allKeys(store)).toEqual(expect.arrayContaining(rowsOf(JOB)));
  });

  it("removes the whole record on its day, and nothing else", async () => {
    const { store } = await after(30, 32, 33, 34, 90, 90.1, 90.2);

    expect(await keysOf(store, JOB)).toEqual([]);
    expect(await allKeys(store)).toEqual([KEYS.current, KEYS.project("0".repeat(64)), KEYS.version("v1")]);
  });

  it("keeps all of a job while a retry of it is active, and counts from its end then", async () => {
    const { store, clock, janitor } = await after(1);
    const child = jobAt(NOW + DAY);
    await putActive(store, child, retry(JOB));
    await passOn(janitor, clock, [95, 96, 97, 98]);
    expect(await allKeys(store)).toEqual(expect.arrayContaining(rowsOf(JOB)));

    await store.delete(KEYS.activeJob(child));
    await putEnded(store, child, { at: NOW + 98 * DAY, spec: retry(JOB) });
    await passOn(janitor, clock, [99, 127]);
    expect(await allKeys(store)).toEqual(expect.arrayContaining([...rowsOf(JOB), jobKeys(API, JOB).spec]));

    await passOn(janitor, clock, [128, 130, 131, 132]);
    expect(await allKeys(store)).not.toEqual(expect.arrayContaining(rowsOf(JOB)));
  });

  it("takes an announcement back for a retry whose submission was under way", async () => {
    const { store, clock, janitor } = await after(30);
    await putActive(store, jobAt(NOW + 30 * DAY), retry(JOB));
    await passOn(janitor, clock, [31, 32, 33, 60]);

    expect(await allKeys(store)).toEqual(expect.arrayContaining(rowsOf(JOB)));
    await refuseRemovedResults(store, { api: API, job: JOB });
  });

  it("takes it back when the setting was raised, also by another process, and announces anew on the new day", async () => {
    const { store, clock } = await after(30);
    const { janitor } = aJanitor(store, clock, { retention: { resultsDays: 60, recordsDays: null } });
    await janitor.pass(API, forever);
    await refuseRemovedResults(store, { api: API, job: JOB });

    clock.ms = NOW + 60 * DAY;
    await janitor.pass(API, forever);
    const stored = await readRecord<RetentionRecord>(store, jobKeys(API, JOB).retention);
    expect(stored?.value).toMatchObject({ state: "announced", days: 60, at: NOW + 60 * DAY });
  });

  it("removes the lines of a job with its record, or on a day of their own", async () => {
    for (const [days, day] of [
      [null, 90],
      [7, 7],
    ] as const) {
      // prettier-ignore
      const { store, clock } = await aStore();
      await putEnded(store, JOB);
      const gone: string[] = [];
      const logs = { days, store: { remove: (job: string) => Promise.resolve(void gone.push(job)) } };
      const { janitor } = aJanitor(store, clock, { logs });
      await passOn(
        janitor,
        clock,
        [6, 30, 32, 33, 34, 89].filter((each) => each < day),
      );
      expect(gone).toEqual([]);

      await passOn(janitor, clock, [day, day + 0.1, day + 0.2]);
      expect(gone).toEqual([JOB]);
    }
  });

  it("removes what only workers read of a job that has ended and given back its lane", async () => {
    const { store, clock } = await aStore();
    const key = jobKeys(API, JOB).isolated(0, 1, [0, 2]);
    await putEnded(store, JOB);
    await store.put(key, Buffer.from("{}"));
    await store.put(KEYS.activeJob(JOB), Buffer.from("{}"));
    const { janitor } = aJanitor(store, clock);

    await janitor.pass(API, forever);
    expect(await allKeys(store)).toContain(key);
    await store.delete(KEYS.activeJob(JOB));
    await janitor.pass(API, forever);
    expect(await allKeys(store)).not.toContain(key);
  });

  it("touches nothing of an ended job whose spec somebody else removed", async () => {
    const { store, clock } = await after(1);
    await store.delete(jobKeys(API, JOB).spec);
    const before = await allKeys(store);
    clock.ms = NOW + 400 * DAY;
    const { janitor } = aJanitor(store, clock);

    for (let pass = 0; pass < 4; pass += 1) await janitor.pass(API, forever);

    expect(await allKeys(store)).toEqual(before);
  });

  it("touches nothing of a job whose spec somebody else removed after its results were due", async () => {
    const { store, clock } = await after(30, 32, 33, 34);
    await store.delete(jobKeys(API, JOB).spec);
    const before = await allKeys(store);
    clock.ms = NOW + 400 * DAY;

    for (let pass = 0; pass < 4; pass += 1) await aJanitor(store, clock).janitor.pass(API, forever);

    expect(await allKeys(store)).toEqual(before);
  });

  it("goes on with a removal that was interrupted after any call", async () => {
    for (let callsMax = 1; callsMax < 60; callsMax += 1) {
      const { store, clock } = await after(30, 32, 33, 34, 90);
      clock.ms += DAY;
      await aJanitor(store, clock, { callsMax }).janitor.pass(API, forever);
      for (let pass = 0; pass < 3; pass += 1) await aJanitor(store, clock).janitor.pass(API, forever);

      expect(await keysOf(store, JOB)).toEqual([]);
      expect((await allKeys(store)).filter((key) => key.startsWith(KEYS.ended))).toEqual([]);
    }
  });

  it("keeps everything for ever where it is told so", async () => {
    const { store, clock } = await aStore();
    await putEnded(store, JOB);
    const before = await allKeys(store);
    const { janitor } = aJanitor(store, clock, { retention: { resultsDays: null, recordsDays: null } });
    clock.ms = NOW + 4000 * DAY;

    for (let pass = 0; pass < 4; pass += 1) await janitor.pass(API, forever);

    expect(await allKeys(store)).toEqual(before);
  });

  it("leaves a job alone whose record of retention is damaged, says so once, and goes on with the others", async () => {
    const { store, clock } = await aStore();
    const other = jobAt(NOW, 7);
    for (const job of [JOB, other, jobAt(NOW, 8)]) await putEnded(store, job);
    await store.swap(jobKeys(API, other).retention, Buffer.from('{"format":1,"state":"gone"}'), undefined);
    const before = await keysOf(store, other);
    const { janitor, said } = aJanitor(store, clock);
    await passOn(janitor, clock, [30, 32, 32.1, 32.2]);

    for (const job of [JOB, jobAt(NOW, 8)]) expect((await keysOf(store, job)).filter((key) => key.startsWith("parts/"))).toEqual([]); // prettier-ignore
    expect(await keysOf(store, other)).toEqual(before);
    expect(said).toHaveLength(1);
    await expect(refuseRemovedResults(store, { api: API, job: other })).rejects.toThrow(
      `${jobKeys(API, other).retention} is not as it was written (state is none of`,
    );
  });

  it("leaves a job alone whose spec is damaged, says so once, and goes on with the others", async () => {
    const { store, clock } = await aStore();
    const damaged = jobAt(NOW, 7);
    await putEnded(store, damaged);
    await putEnded(store, JOB);
    await store.delete(jobKeys(API, damaged).spec);
    await store.put(jobKeys(API, damaged).spec, Buffer.from("{"));
    const before = await keysOf(store, damaged);
    const { janitor, said } = aJanitor(store, clock);

    await passOn(janitor, clock, [30, 32, 33, 34, 90, 91, 92]);

    expect(await keysOf(store, JOB)).toEqual([]);
    expect(await keysOf(store, damaged)).toEqual(before);
    expect(said).toHaveLength(1);
  });

  it("removes nothing while another version of the service wrote a spec: it may name any job", async () => {
    const { store, clock } = await aStore();
    const newer = jobAt(NOW, 7);
    await putEnded(store, JOB);
    await putEnded(store, newer);
    await store.delete(jobKeys(API, newer).spec);
    await store.put(jobKeys(API, newer).spec, encodeStored({ format: 99 }));
    const before = await allKeys(store);
    clock.ms = NOW + 400 * DAY;

    for (let pass = 0; pass < 4; pass += 1) await aJanitor(store, clock).janitor.pass(API, forever);

    expect(await allKeys(store)).toEqual(before);
  });
});
