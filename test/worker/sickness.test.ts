import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LIMITS } from "../../services/protocol/limits.ts";
import { judge, runMinOf, signOf } from "../../services/worker/sickness.ts";

const seen = (succeeded: number, failed: number) => ({ succeeded, failed, wrote: true });
const someCounts = fc.record({ succeeded: fc.nat(10_000), failed: fc.nat(10_000), wrote: fc.constant(true) });
const R = LIMITS.sickRunMin;

describe("a worker is judged", () => {
  it.each([
    [R - 1, seen(10_000, 0), "unsure"],
    [R, seen(1, 0), "unsure"],
    [R, seen(20, 0), "sick"],
    [6, seen(3, 0), "sick"],
    [R, seen(0, 1), "well"],
    [R, seen(0, 0), "unsure"],
    [1_000, seen(0, 0), "unsure"],
    [R, seen(5, 5), "well"],
    [13, seen(50, 50), "unsure"],
    [14, seen(50, 50), "sick"],
    [14, seen(9, 91), "well"],
  ] as const)("after %s failures in a row, and the others' %o: %s", (failedInRow, others, judgement) => {
    expect(judge(failedInRow, R, others)).toBe(judgement);
  });

  it("never for what others did not do well, and never by a run that is too short", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 1_000 }),
        someCounts,
        (run, runMin, others) => {
          const judgement = judge(run, runMin, others);
          if (judgement === "sick") expect([others.succeeded > 0, run >= runMin]).toEqual([true, true]);
          if (judgement === "well") expect(others.failed).toBeGreaterThan(0);
        },
      ),
    );
  });

  it("no better for another failure of its own, and no worse for another failure of the others", () => {
    const worse = { well: 0, unsure: 1, sick: 2 } as const;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), someCounts, (run, others) => {
        const now = worse[judge(run, R, others)];
        expect(worse[judge(run + 1, R, others)]).toBeGreaterThanOrEqual(now);
        expect(worse[judge(run, R, { ...others, failed: others.failed + 1 })]).toBeLessThanOrEqual(now);
      }),
    );
  });

  it("later with each worker that stood down before, up to a bound", () => {
    expect([0, 1, 2].map(runMinOf)).toEqual([R, 2 * R, 4 * R]);
    expect(runMinOf(1_000)).toBe(runMinOf(20));
  });
});

describe("an attempt's end", () => {
  const line = (over: object) => ({ ...{ batch: 0, attempt: 1, result: "none", items: 2, failed: 2, seconds: 1, cause: "raised" }, ...over }) as Parameters<typeof signOf>[0]; // prettier-ignore

  it.each([
    ["failure", { cause: "raised" }],
    ["failure", { cause: "out_of_memory" }],
    ["neither", { cause: "input_changed" }],
    ["success", { result: "all", failed: 0 }],
    ["success", { result: "some", failed: 1 }],
    ["failure", { result: "some", failed: 2, cause: "raised" }],
    ["neither", { result: "some", failed: 2, cause: undefined }],
  ])("is a %s: %o", (sign, over) => {
    expect(signOf(line(over))).toBe(sign);
  });
});
