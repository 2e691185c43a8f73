/** Whatever lies in the store, the janitor leaves what a live job or a kept record names, and of the rest nothing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { FINAL_STATES } from "../../../services/protocol/states.ts";
import { aJobSpec, aVersion } from "../../support/builders.ts";
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
  putActive,
  putEnded,
  putVersion,
  rowsOf,
} from "./support.ts";

const VERSIONS = ["v1", "v2", "v3", "v4"];
const version = fc.constantFrom(...VERSIONS);
const parent = fc.option(fc.nat(7), { nil: undefined });
const age = fc.integer({ min: 3, max: 200 });

const aJob = fc.oneof(
  fc.record({ kind: fc.constant("active" as const), age, version, parent }),
  fc.record({ kind: fc.constant("ended" as const), age, version, parent, state: fc.constantFrom(...FINAL_STATES) }),
  fc.record({ kind: fc.constant("lost" as const), age, withSpec: fc.boolean(), version }),
);
type Job = typeof aJob extends fc.Arbitrary<infer J> ? J : never;

const idOf = (job: Job, at: number) => jobAt(NOW - job.age * DAY, at);

/** Only a job that is older can be a parent. */
function parentOf(jobs: readonly Job[], at: number): number | undefined {
  const job = jobs[at];
  if (job === undefined || job.kind === "lost" || job.parent === undefined) return undefined;
  const other = jobs[job.parent];
  return other?.kind === "ended" && other.age > job.age ? job.parent : undefined;
}

async function put(store: Parameters<typeof putActive>[0], jobs: readonly Job[], at: number): Promise<void> {
  const job = jobs[at];
  if (job === undefined) return;
  const id = idOf(job, at);
  const of = parentOf(jobs, at);
  const parentId =
    of === undefined ? undefined : idOf(jobs[of] ?? { kind: "lost", age: 0, withSpec: false, version: "" }, of);
  const input = parentId === undefined ? {} : { input: { kind: "retry", batch_size: 1, retry_of: parentId, root: parentId, retried: "failed", remaining: false } as const }; // prettier-ignore
  await store.put(
    KEYS.idempotency(`${String(at)}${"0".repeat(63)}`),
    encodeStored({ job: id, submission: id, body: "" }),
  );
  const spec = { version: job.version, submission: id, ...input };
  if (job.kind === "active") await putActive(store, id, spec);
  else if (job.kind === "ended") await putEnded(store, id, { at: NOW - job.age * DAY, state: job.state, spec });
  else {
    await store.put(jobKeys(API, id).items(0), Buffer.from("1\n"));
    if (job.withSpec) await store.put(jobKeys(API, id).spec, encodeStored(aJobSpec({ job: id, api: API, ...spec })));
  }
}

/** Days since the end of the youngest job of those that hold it; undefined: a live one does. */
function countedAge(jobs: readonly Job[], at: number): number | undefined {
  const job = jobs[at];
  if (job?.kind !== "ended") return undefined;
  let youngest = job.age;
  for (const other of jobs.keys()) {
    if (parentOf(jobs, other) !== at) continue;
    const held = countedAge(jobs, other);
    if (held === undefined) return undefined;
    youngest = Math.min(youngest, held);
  }
  return youngest;
}

describe("the janitor over any contents", () => {
  it("removes exactly what nothing live and nothing kept names", async () => {
    let removed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(aJob, { maxLength: 8 }), fc.integer({ min: 80, max: 400 }), async (jobs, callsMax) => {
        const { store, clock } = await aStore();
        for (const name of VERSIONS.slice(1)) {
          await putVersion(store, aVersion({ version: name, project: name.repeat(32), environment: `e-${name}` }));
        }
        for (const at of jobs.keys()) await put(store, jobs, at);
        const before = await allKeys(store);
        const { janitor, said } = aJanitor(store, clock, { callsMax });
        // 40 days of passes, a quarter of a day apart: everything that has begun is ended then.
        for (let pass = 0; pass < 160; pass += 1) {
          await janitor.pass(API, forever);
          clock.ms += DAY / 4;
        }
        const after = await allKeys(store);

        const kept = new Set<string>();
        const versions = new Set(["v1"]);
        for (const [at, job] of jobs.entries()) {
          const id = idOf(job, at);
          const days = countedAge(jobs, at);
          if (job.kind === "lost" || (days !== undefined && days + 36 >= 90)) continue; // its record is due in time
          if (days !== undefined && days + 41 >= 90) return; // on the edge: not judged
          versions.add(job.version);
          kept.add(KEYS.idempotency(`${String(at)}${"0".repeat(63)}`));
          const withoutRows = days !== undefined;
          for (const key of before) {
            const isOf = key.startsWith(jobKeys(API, id).root) || key.endsWith(`/${id}`);
            if (isOf && !(withoutRows && rowsOf(id).includes(key))) kept.add(key);
          }
        }
        const code = (key: string) => /\/(versions|projects|environments)\//.test(key);
        const named = (key: string) =>
          VERSIONS.some((name) => versions.has(name) && key.includes(name === "v1" ? "/v1.json" : name));
        const expected = before.filter((key) => kept.has(key) || key === KEYS.current || (code(key) && (named(key) || key.includes("0".repeat(64))))); // prettier-ignore
        // Code is removed 30 days after the last job that named it went: only what was free from the start must be gone.
        const freeLater = (key: string) =>
          code(key) && !named(key) && jobs.some(({ version: used }) => key.includes(used));
        const left = after.filter(
          (key) => key !== KEYS.unneeded && !key.endsWith("/retention.json") && !freeLater(key),
        );
        expect(said).toEqual([]);
        expect(left).toEqual(expected.filter((key) => !freeLater(key)));
        removed += before.length - left.length;
        for (const [at, job] of jobs.entries()) {
          if (job.kind === "lost") expect(await keysOf(store, idOf(job, at))).toEqual([]);
        }
      }),
      { numRuns: 40 },
    );
    expect(removed).toBeGreaterThan(100);
  }, 120_000);
});
