import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ItemRange } from "../../services/protocol/ledger.ts";
import {
  isolate,
  type Decided,
  type Failure,
  type Isolation,
  type IsolationParts,
  type RangeAnswer,
} from "../../services/worker/isolation.ts";

const CAUSES = ["raised", "exited", "killed", "timed_out", "bad_answer", "out_of_memory"] as const;

function failed(cause: string): RangeAnswer & Failure {
  return { kind: "failed", cause, error: `it ${cause}`, traceback: "" };
}

function rowsOf([from, to]: ItemRange): RangeAnswer {
  const rows = Array.from({ length: to - from }, (_, at) => `${String(from + at)}\n`);
  return { kind: "done", rows: { bytes: Buffer.from(rows.join("")), count: rows.length }, apart: [] };
}

/** A batch whose bad items fail whatever they run in. */
class Bench {
  readonly runs: ItemRange[] = [];
  readonly kept: Decided[] = [];
  readonly #items: number;
  readonly #answer: (range: ItemRange) => RangeAnswer;

  constructor(items: number, answer: (range: ItemRange) => RangeAnswer) {
    this.#items = items;
    this.#answer = answer;
  }

  static withBad(items: number, bad: ReadonlyMap<number, string>): Bench {
    return new Bench(items, (range) => {
      const first = [...bad.keys()].sort((a, b) => a - b).find((item) => range[0] <= item && item < range[1]);
      return first === undefined ? rowsOf(range) : failed(bad.get(first) ?? "");
    });
  }

  isolate(over: Partial<IsolationParts> = {}): Promise<Isolation | undefined> {
    return isolate({
      items: this.#items,
      whole: failed("raised"),
      known: [],
      died: [],
      run: (range) => {
        this.runs.push(range);
        return Promise.resolve(this.#answer(range));
      },
      decided: (one) => this.kept.push(one),
      over: () => undefined,
      ...over,
    });
  }
}

function failures(isolation: Isolation | undefined): Map<number, string> {
  const found = new Map<number, string>();
  for (const { range, end } of isolation?.decided ?? []) {
    if (end.kind === "failed") for (let item = range[0]; item < range[1]; item += 1) found.set(item, end.cause);
  }
  return found;
}

/** Every item is in one range, in order, and its row is there once, unless it failed. */
function expectWhole(items: number, isolation: Isolation | undefined): void {
  let next = 0;
  for (const { range, end } of isolation?.decided ?? []) {
    expect(range[0]).toBe(next);
    next = range[1];
    if (end.kind === "done") expect(end).toEqual(rowsOf(range));
  }
  expect(next).toBe(items);
}

/** A batch's size with any of its items bad, each in its own way. */
const badBatches = fc.integer({ min: 2, max: 130 }).chain((items) => {
  const item = fc.tuple(fc.nat({ max: items - 1 }), fc.constantFrom(...CAUSES));
  return fc.record({ items: fc.constant(items), bad: fc.array(item, { maxLength: 8 }).map((pairs) => new Map(pairs)) });
});

const levels = (items: number) => Math.ceil(Math.log2(items));

describe("taking a failed batch apart", () => {
  it("fails exactly the bad items, each with its own cause, within two runs a level for each of them", async () => {
    await fc.assert(
      fc.asyncProperty(badBatches, async ({ items, bad }) => {
        const bench = Bench.withBad(items, bad);
        const isolation = await bench.isolate();

        expect(failures(isolation)).toEqual(new Map([...bad].sort(([a], [b]) => a - b)));
        expectWhole(items, isolation);
        expect(bench.runs.length).toBeLessThanOrEqual(Math.max(1, bad.size) * 2 * levels(items));
        expect(isolation?.fits).toBeUndefined();
      }),
    );
  });

  it("goes on from what any former worker kept, without a run of it, and comes to the same end", async () => {
    await fc.assert(
      fc.asyncProperty(badBatches, fc.nat(), async ({ items, bad }, seed) => {
        const first = Bench.withBad(items, bad);
        const whole = await first.isolate();
        const known = first.kept.filter((_, at) => (seed >> (at % 31)) % 2 === 0);
        const second = Bench.withBad(items, bad);
        const resumed = await second.isolate({ known });

        expect(resumed).toEqual(whole);
        for (const { range } of known) expect(second.runs).not.toContainEqual(range);
        expect(second.runs.length).toBeLessThanOrEqual(first.runs.length - known.length);
      }),
    );
  });

  it("decides each item once when items fail now and then", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 70 }), fc.infiniteStream(fc.boolean()), async (items, flaky) => {
        const bench = new Bench(items, (range) => (flaky.next().value ? failed("raised") : rowsOf(range)));

        expectWhole(items, await bench.isolate());
        expect(bench.runs.length).toBeLessThanOrEqual(2 * items - 2);
      }),
    );
  });

  it("fails what is undecided as one group when it is over, and keeps what it had", async () => {
    await fc.assert(
      fc.asyncProperty(badBatches, fc.nat({ max: 20 }), async ({ items, bad }, allowed) => {
        const bench = Bench.withBad(items, bad);
        const over = () => (bench.runs.length < allowed ? undefined : failed("not_isolated"));
        const isolation = await bench.isolate({ over });

        expectWhole(items, isolation);
        expect(bench.runs.length).toBeLessThanOrEqual(allowed);
        for (const [item, cause] of failures(isolation)) expect([bad.get(item), "not_isolated"]).toContain(cause);
        for (const item of bad.keys()) expect(failures(isolation).has(item)).toBe(true);
      }),
    );
  });

  it("takes apart what workers died over, and fails a single item that they died over", async () => {
    const bench = Bench.withBad(8, new Map());
    const died: ItemRange[] = [
      [0, 8],
      [4, 8],
      [4, 6],
      [5, 6],
    ];
    const isolation = await bench.isolate({ whole: undefined, died });

    expect(bench.runs).toEqual([
      [0, 4],
      [4, 5],
      [6, 8],
    ]);
    expect([...failures(isolation)]).toEqual([[5, "worker_died"]]);
  });

  it("says how many items fit into the memory where more did not, unless one of them is to blame", async () => {
    const greedy = new Bench(64, (range) => (range[1] - range[0] > 10 ? failed("out_of_memory") : rowsOf(range)));
    const isolation = await greedy.isolate({ whole: failed("out_of_memory") });

    expect(failures(isolation).size).toBe(0);
    expect(isolation?.fits).toBe(8);
    expect((await Bench.withBad(64, new Map([[3, "out_of_memory"]])).isolate())?.fits).toBeUndefined();
  });

  it("says nothing of a batch whose worker leaves meanwhile", async () => {
    const bench = new Bench(8, () => ({ kind: "interrupted" }));

    expect(await bench.isolate()).toBeUndefined();
    expect(bench.runs).toHaveLength(1);
  });
});
