import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { familyErrors, familyResults, type FamilyErrorRow } from "../../../services/batch-api/jobs/family.ts";
import { verifyJob } from "../../../services/batch-api/jobs/verify/verify.ts";
import type { JobSpec, ResultRow, RetriedItems } from "../../../services/protocol/jobs.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import type { SplitFile } from "../../../services/protocol/pointers.ts";
import { batchesOfJob, endJob, splitJob, type Fate, type FamilyWorld } from "../../support/a-family.ts";
import { aJobSpec } from "../../support/builders.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { emptyStore } from "../../support/splitting.ts";
import { StepClock } from "./support.ts";

const ITEMS = 23;
const ROOT = aJobSpec({
  attempts: 1,
  input: { kind: "delimited_files", batch_size: 3, paths: ["s3://data/"], includes: [], excludes: [] },
});
const SIGNAL = new AbortController().signal;

const fate = fc.oneof(
  fc.constant<Fate>({ kind: "succeeded" }),
  fc.constant<Fate>({ kind: "skipped" }),
  fc.record({ kind: fc.constant("failed" as const), exactly: fc.boolean() }),
  fc.integer({ min: 1, max: 3 }).map<Fate>((one) => ({ kind: "some", exactly: true, failed: (at) => at % one === 0 })),
);
/** `parent`: which of the jobs before it a retry is of, by any number. */
const generation = fc.record({
  parent: fc.nat(),
  fates: fc.array(fate, { minLength: 1, maxLength: 9 }),
  batchSize: fc.integer({ min: 1, max: 5 }),
  earlyAfter: fc.option(fc.integer({ min: 0, max: 3 }), { nil: Infinity }),
  retried: fc.constantFrom<RetriedItems>("failed", "failed_and_skipped"),
});
type Generation = typeof generation extends fc.Arbitrary<infer One> ? One : never;

function aWorld(): FamilyWorld & { readonly dataset: MemoryDataset } {
  const dataset = new MemoryDataset();
  const lines = Array.from({ length: ITEMS }, (_, index) => `{"n":${String(index)}}\n`);
  dataset.objects.set("s3://data/x", Buffer.from(lines.join("")));
  return { store: emptyStore(), dataset, splitBatches: 2 };
}

/** What a slow reader would make of a family: the newest success and the newest error of each item. */
interface Oracle {
  readonly successes: Map<number, string>;
  readonly errors: Map<number, string>;
}

async function aFamily(world: FamilyWorld, generations: readonly Generation[]): Promise<Oracle & { jobs: JobSpec[] }> {
  const oracle: Oracle = { successes: new Map(), errors: new Map() };
  const jobs: JobSpec[] = [];
  const complete: boolean[] = [];
  for (const [number, { parent, fates, batchSize, earlyAfter, retried }] of generations.entries()) {
    const of = parent % Math.max(1, number);
    const input = { kind: "retry" as const, batch_size: batchSize, retry_of: jobs[of]?.job ?? "", root: ROOT.job };
    const remaining = retried === "failed_and_skipped" && complete[of] === false;
    const retry = { ...ROOT, job: `d0000000000000${String(10 + number)}`, accepted_at: ROOT.accepted_at + number };
    const spec: JobSpec = number === 0 ? ROOT : { ...retry, input: { ...input, retried, remaining } };
    if (number > 0) await world.store.put(jobKeys(ROOT.api, ROOT.job).retry(spec.job), Buffer.alloc(0));
    complete.push((await splitJob(world, spec, earlyAfter)).complete);
    jobs.push(spec);
    const fateOf = (batch: number) => fates[batch % fates.length] ?? ({ kind: "succeeded" } as const);
    await endJob(world, spec, fateOf);
    for (const [batch, items] of (await batchesOfJob(world, spec)).entries()) {
      const one = fateOf(batch);
      for (const [offset, { origin }] of items.entries()) {
        if (one.kind === "skipped") continue;
        const failed = one.kind === "failed" || (one.kind === "some" && one.failed(offset));
        (failed ? oracle.errors : oracle.successes).set(origin, spec.job);
      }
    }
  }
  for (const origin of oracle.successes.keys()) oracle.errors.delete(origin);
  return { ...oracle, jobs };
}

async function resultsOf(
  world: FamilyWorld,
  spec: JobSpec,
): Promise<(readonly [number, { job: string; text: string }])[]> {
  const pieces: Buffer[] = [];
  for await (const piece of familyResults({ ...world, clock: new StepClock() }, spec, SIGNAL)) pieces.push(piece);
  const lines = Buffer.concat(pieces).toString().split("\n").filter(Boolean);
  return lines
    .map((line) => JSON.parse(line) as ResultRow)
    .map(({ index, result }) => [index, result as { job: string; text: string }]);
}

async function errorsOf(world: FamilyWorld, spec: JobSpec): Promise<FamilyErrorRow[]> {
  const rows: FamilyErrorRow[] = [];
  for await (const row of familyErrors({ ...world, clock: new StepClock() }, spec, SIGNAL)) rows.push(row);
  return rows;
}

describe("a family of jobs", () => {
  it("has each item once, in order, with its newest success, else its newest error, whatever was retried of what", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(generation, { minLength: 1, maxLength: 5 }), fc.nat(), async (generations, asked) => {
        const world = aWorld();
        const { successes, errors, jobs } = await aFamily(world, generations);
        const any = jobs[asked % jobs.length] ?? ROOT;
        const ascending = (entries: Map<number, string>) => [...entries].sort(([a], [b]) => a - b);

        const rows = await resultsOf(world, any);
        const failures = await errorsOf(world, any);

        expect(rows.map(([index, { job }]) => [index, job])).toEqual(ascending(successes));
        for (const [index, { text }] of rows) expect(text).toBe(`{"n":${String(index)}}`);
        expect(failures.map(({ index, job }) => [index, job])).toEqual(ascending(errors));
        expect(failures.every(({ error, job }) => error === `in ${job}`)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it("leaves out jobs that have not ended, and markers of retries that never came to be", async () => {
    const world = aWorld();
    const failed: Fate = { kind: "failed", exactly: true };
    const generationOf = (fates: Fate[]) => ({
      parent: 0,
      fates,
      batchSize: 3,
      earlyAfter: Infinity,
      retried: "failed" as const,
    });
    const { jobs } = await aFamily(world, [generationOf([failed]), generationOf([{ kind: "succeeded" }])]);
    const retries = jobKeys(ROOT.api, ROOT.job);
    await world.store.put(retries.retry("d0000000000000ff"), Buffer.alloc(0));
    await world.store.delete(jobKeys(ROOT.api, jobs[1]?.job ?? "").state);

    expect(await resultsOf(world, ROOT)).toEqual([]);
    expect(await errorsOf(world, ROOT)).toHaveLength(ITEMS);
  });

  it("is told by verify from a retry that points at another item, or lies elsewhere, or has one too many", async () => {
    const check = "a retry's batches hold the items of its parent that it retries";
    const found = async (change: (file: SplitFile) => unknown) => {
      const world = aWorld();
      const failed: Fate = { kind: "some", exactly: true, failed: (at) => at === 1 };
      const one = { parent: 0, batchSize: 3, earlyAfter: Infinity, retried: "failed" as const };
      const { jobs } = await aFamily(world, [
        { ...one, fates: [failed] },
        { ...one, fates: [{ kind: "succeeded" }] },
      ]);
      const key = jobKeys(ROOT.api, jobs[1]?.job ?? "").split(1);
      const file = JSON.parse(String((await world.store.get(key))?.bytes)) as SplitFile;
      await world.store.delete(key);
      await world.store.put(key, Buffer.from(JSON.stringify(change(file))));
      const { checks } = await verifyJob(world.store, ROOT.api, jobs[1]?.job ?? "");
      return checks.find(({ name }) => name === check)?.findings.map(({ problem }) => problem);
    };
    const flat = (file: SplitFile) => file.batches[0]?.slice() ?? [];

    expect(await found((file) => file)).toEqual([]);
    expect(await found((file) => ({ ...file, origins: [20, 1, 22, 1] }))).toEqual([
      "item 6 is item 20 of the root, and 19 is the next one to retry",
    ]);
    expect(await found((file) => ({ ...file, batches: [flat(file).with(2, 1000)] }))).toEqual([
      `item 6 does not lie where job ${ROOT.job} has it`,
    ]);
    expect(
      await found((file) => ({ ...file, batches: [[...flat(file), 0, 0, 8, 1]], origins: [19, 1, 22, 2] })),
    ).toEqual(["item 8 is none of the 8 that are to be retried"]);
    expect(await found((file) => ({ ...file, batches: [flat(file).slice(0, 4)], origins: [19, 1] }))).toEqual([
      "8 items are to be retried, and its batches hold 7",
    ]);
  });
});
