import type { Mutant } from "./mutant.ts";

const simulation = { by: "simulation", seeds: 100 } as const;

/** Bugs of acceptance and of the splitter. */
export const splitterMutants: readonly Mutant[] = [
  {
    name: "a key makes two jobs",
    bug: "a submission that is repeated under its key, because its answer was lost, makes another job",
    file: "services/batch-api/jobs/idempotency.ts",
    find: 'if (mode === "write" && (await store.put(key, encodeStored(mine)))) return mine;',
    replace: 'if (mode === "write" && (await store.put(key, encodeStored(mine)), true)) return mine;',
    caughtBy: { by: "test", file: "test/batch-api/jobs/accept.test.ts", says: "makes one job of 20 submissions" },
  },
  {
    name: "tail batch dropped",
    bug: "the last items, too few for a whole batch, are left out",
    file: "services/batch-api/splitter/splitter.ts",
    find: "this.#draft.closeBatch();\n",
    replace: "\n",
    caughtBy: simulation,
  },
  {
    name: "off-by-one total",
    bug: "the split says that it has one batch more than it has",
    file: "services/batch-api/splitter/splitter.ts",
    find: "      splits: split,\n      ...before,",
    replace: "      splits: split,\n      ...before,\n      batches: before.batches + 1,",
    caughtBy: simulation,
  },
  {
    name: "a retry leaves out a run of items",
    bug: "of the items of a batch that are retried, the first ones are passed over",
    file: "services/batch-api/splitter/retried-items.ts",
    find: "this.#runs = (await this.#runsOf(spans, first, wanted, batchItems)).reverse();",
    replace: "this.#runs = (await this.#runsOf(spans, first, wanted, batchItems)).reverse().slice(0, 1);",
    caughtBy: { by: "simulation", seeds: 200 },
  },
  {
    name: "a family shows the older result",
    bug: "items that a retry brought stand in the family under their index in the retry",
    file: "services/batch-api/jobs/family.ts",
    find: '`{"index":${String(newest.origin)},${newest.row',
    replace: '`{"index":${String(indexOf(newest.row))},${newest.row',
    caughtBy: simulation,
  },
];
