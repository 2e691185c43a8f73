import { describe, expect, it } from "vitest";
import { byGrant } from "../../../services/batch-api/driver/waiting.ts";
import { aJobSpec } from "../../support/builders.ts";

const OLD = aJobSpec({ job: "e00000000000000c", accepted_at: 1, priority: -5 });
const URGENT = aJobSpec({ job: "e00000000000000b", accepted_at: 3, priority: 7 });
const ALSO_URGENT = aJobSpec({ job: "e00000000000000a", accepted_at: 2, priority: 7 });

function order(epoch: number): string[] {
  return [URGENT, OLD, ALSO_URGENT].sort(byGrant(epoch)).map(({ job }) => job);
}

describe("the order of grants", () => {
  it("goes by priority, then age", () => {
    for (const epoch of [1, 2, 3, 5]) expect(order(epoch)).toEqual([ALSO_URGENT.job, URGENT.job, OLD.job]);
  });

  it("goes by age alone in every fourth epoch of a lane, so that urgent jobs starve nobody", () => {
    for (const epoch of [4, 8]) expect(order(epoch)).toEqual([OLD.job, ALSO_URGENT.job, URGENT.job]);
  });

  it("goes by the job's id where all else is equal, so that all replicas agree", () => {
    const twin = { ...URGENT, job: "e00000000000000d" };

    expect([twin, URGENT].sort(byGrant(1))).toEqual([URGENT, twin]);
  });
});
