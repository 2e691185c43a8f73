import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JobInput, JobSpec, RetriedItems } from "../../../services/protocol/jobs.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { aFamilySplitter, batchesOfJob, endJob, splitJob, type CutItem, type FamilyWorld, type Fate } from "../../support/a-family.ts"; // prettier-ignore
import { aJobSpec } from "../../support/builders.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { contents, emptyStore, finished } from "../../support/splitting.ts";

const FORMATS = {
  lines: (items: readonly string[]) => `${items.join("\n\n")}\n`,
  "lines without an end": (items: readonly string[]) => items.join("\r\n"),
  array: (items: readonly string[]) => ` [ ${items.join(" ,\n")}\n]`,
  concatenated: (items: readonly string[]) => items.map((item) => `{\n"v": ${item}}`).join("\n"),
};

const file = fc.record({
  format: fc.constantFrom(...(Object.keys(FORMATS) as (keyof typeof FORMATS)[])),
  items: fc.integer({ min: 1, max: 12 }),
});
const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.constant<Fate>({ kind: "succeeded" }),
  fc.constant<Fate>({ kind: "skipped" }),
  fc.record({ kind: fc.constant("failed" as const), exactly: fc.boolean() }),
  fc.record({
    kind: fc.constant("some" as const),
    exactly: fc.boolean(),
    failed: fc.integer({ min: 1, max: 7 }).map((bits) => (offset: number) => ((bits >> (offset % 3)) & 1) === 1),
  }),
);
const generation = fc.record({
  fates: fc.array(fate, { minLength: 1, maxLength: 12 }),
  batchSize: fc.integer({ min: 1, max: 5 }),
  earlyAfter: fc.option(fc.integer({ min: 0, max: 3 }), { nil: Infinity }),
  retried: fc.constantFrom<RetriedItems>("failed", "failed_and_skipped"),
});

const ROOT = "e00000000000000a";

function aWorld(files: readonly { readonly format: keyof typeof FORMATS; readonly items: number }[]): FamilyWorld & {
  readonly dataset: MemoryDataset;
} {
  const dataset = new MemoryDataset();
  let next = 0;
  for (const [at, { format, items }] of files.entries()) {
    const texts = Array.from({ length: items }, () => `{"n":${String(next++)},"é":"]}"}`);
    dataset.objects.set(`s3://data/${String(at)}`, Buffer.from(FORMATS[format](texts)));
  }
  return { store: emptyStore(), dataset, splitBatches: 2 };
}

function rootSpec(input: Partial<JobInput> = {}): JobSpec {
  const listed = { kind: "delimited_files", batch_size: 3, paths: ["s3://data/"], includes: [], excludes: [] };
  return aJobSpec({ job: ROOT, attempts: 1, input: { ...listed, ...input } as JobInput });
}

function retrySpec(
  parent: string,
  number: number,
  batch_size: number,
  retried: RetriedItems,
  remaining: boolean,
): JobSpec {
  const input = { kind: "retry" as const, batch_size, retry_of: parent, root: ROOT, retried, remaining };
  return aJobSpec({ job: `d00000000000000${String(number)}`, attempts: 1, input });
}

/** Every item of the root, were it cut to its end. */
async function allItems(world: FamilyWorld): Promise<readonly CutItem[]> {
  const apart = { ...world, store: emptyStore() };
  await splitJob(apart, rootSpec());
  return (await batchesOfJob(apart, rootSpec())).flat();
}

/** The origins that a retry of a job must have, by another way than the splitter's. */
function wanted(
  parent: { readonly batches: readonly CutItem[][]; readonly rest: readonly number[] },
  fates: readonly Fate[],
  retried: RetriedItems,
): number[] {
  const origins: number[] = [];
  for (const [batch, items] of parent.batches.entries()) {
    const fate = fates[batch % fates.length] ?? { kind: "succeeded" };
    for (const [offset, { origin }] of items.entries()) {
      const failed = fate.kind === "failed" || (fate.kind === "some" && fate.failed(offset));
      if (failed || (fate.kind === "skipped" && retried === "failed_and_skipped")) origins.push(origin);
    }
  }
  return retried === "failed_and_skipped" ? [...origins, ...parent.rest] : origins;
}

describe("the split of a retry", () => {
  it("holds exactly the items of its parent that are wanted, in order, byte for byte, in any line of retries", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(file, { minLength: 1, maxLength: 3 }),
        fc.array(generation, { minLength: 2, maxLength: 4 }),
        async (files, generations) => {
          const world = aWorld(files);
          const all = await allItems(world);
          let spec = rootSpec();
          let whole = all.map(({ origin }) => origin);

          for (const [number, { fates, batchSize, earlyAfter, retried }] of generations.entries()) {
            const end = await splitJob(world, spec, earlyAfter);
            const batches = await batchesOfJob(world, spec);
            const items = batches.flat();
            expect(items.map(({ origin }) => origin)).toEqual(whole.slice(0, items.length));
            expect(items.map(({ text }) => text)).toEqual(items.map(({ origin }) => all[origin]?.text));
            expect(batches.slice(0, -1).every((batch) => batch.length === spec.input.batch_size)).toBe(true);
            expect(end).toMatchObject({ items: items.length, batches: batches.length });
            if (end.complete) expect(items).toHaveLength(whole.length);
            await endJob(world, spec, (batch) => fates[batch % fates.length] ?? { kind: "succeeded" });
            whole = wanted({ batches, rest: whole.slice(items.length) }, fates, retried);
            spec = retrySpec(spec.job, number, batchSize, retried, retried === "failed_and_skipped" && !end.complete);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("writes the same bytes when it starts again after any object", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(file, { minLength: 1, maxLength: 3 }),
        generation,
        fc.integer({ min: 1, max: 12 }),
        async (files, one, size) => {
          const root = rootSpec({ batch_size: size });
          const world = aWorld(files);
          const end = await splitJob(world, root, one.earlyAfter);
          await endJob(world, root, (batch) => one.fates[batch % one.fates.length] ?? { kind: "succeeded" });
          const spec = retrySpec(
            ROOT,
            1,
            one.batchSize,
            one.retried,
            one.retried === "failed_and_skipped" && !end.complete,
          );
          const before = await contents(world.store as never);
          await finished(aFamilySplitter(world, spec));
          const after = await contents(world.store as never);
          const written = [...after].filter(([key]) => !before.has(key));
          const isEnd = ([key]: readonly [string, string]) => (key === jobKeys(spec.api, spec.job).splitEnd ? 1 : 0);
          written.sort((a, b) => isEnd(a) - isEnd(b));

          for (let kept = 0; kept < written.length; kept++) {
            const store = emptyStore();
            for (const [key, text] of [...before, ...written.slice(0, kept)]) await store.put(key, Buffer.from(text));
            await finished(aFamilySplitter({ ...world, store }, spec, 64 + kept));
            expect(await contents(store)).toEqual(after);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("cuts what the parent had not cut as all other retries of it do, also of what came since", async () => {
    const world = aWorld([
      { format: "lines", items: 8 },
      { format: "array", items: 6 },
    ]);
    await splitJob(world, rootSpec(), 0);
    await endJob(world, rootSpec(), () => ({ kind: "succeeded" }));
    const [one, two] = [1, 2].map((number) => retrySpec(ROOT, number, number + 1, "failed_and_skipped", true));
    if (one === undefined || two === undefined) throw new Error("two specs");
    await splitJob(world, one, 1);
    world.dataset.objects.set("s3://data/00", Buffer.from("1\n2\n"));

    await splitJob(world, two);

    const [first, second] = [await batchesOfJob(world, one), await batchesOfJob(world, two)];
    const texts = second.flat().map(({ text }) => text);
    expect(second.flat().map(({ origin }) => origin)).toEqual(texts.map((_, index) => index));
    expect(first.flat().map(({ text }) => text)).toEqual(texts.slice(0, first.flat().length));
  });

  it("points at nothing of data that has changed where only its bytes could say which items they are", async () => {
    const world = aWorld([{ format: "lines", items: 6 }]);
    await splitJob(world, rootSpec());
    await endJob(world, rootSpec(), (batch) =>
      batch === 0 ? { kind: "failed", exactly: true } : { kind: "failed", exactly: false },
    );
    const before = world.dataset.objects.get("s3://data/0") ?? Buffer.alloc(0);
    world.dataset.objects.set("s3://data/0", Buffer.from("7\n".repeat(60)));

    const spec = retrySpec(ROOT, 1, 2, "failed", false);
    await splitJob(world, spec);

    world.dataset.objects.set("s3://data/0", before);
    const items = (await batchesOfJob(world, spec)).flat();
    expect(items.map(({ origin }) => origin)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(items.slice(3).every(({ text }) => text === undefined)).toBe(true);
  });

  it("fails in a sentence when its parent is gone", async () => {
    const spec = retrySpec(ROOT, 1, 2, "failed", false);
    const split = splitJob(aWorld([]), spec);

    await expect(split).rejects.toMatchObject({ fault: "missing" });
    await expect(split).rejects.toThrow(`${jobKeys(spec.api, ROOT).spec}, which says which items are retried, is gone`);
  });
});
