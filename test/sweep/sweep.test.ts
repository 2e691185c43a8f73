import { afterAll, describe, expect, it } from "vitest";
import { faultNames } from "./single-fault.ts";
import { sweep, SweepTally } from "./sweep.ts";
import { sweptJobNames } from "./swept-jobs.ts";

/** What the seams can be asked for; a sweep that misses one of them proves too little. */
const VERBS = [
  ...["append", "delete", "get", "list", "now", "put", "read", "size", "swap", "sync"], // store and dataset
  ...["ack", "extend", "probe", "receive", "release", "send"], // queue
  ...["resize", "start", "stop", "workers"], // pool
];

const tally = new SweepTally();

afterAll(() => {
  process.stdout.write(`${tally.sentence}\n`);
});

describe("a single fault", () => {
  for (const job of sweptJobNames) {
    it(`at any call of the seams breaks nothing and keeps no job from its end: ${job}`, async () => {
      const broken: string[] = [];
      for await (const swept of sweep(job, { rotated: true })) {
        tally.add(job, swept);
        for (const problem of swept.problems) broken.push(`${tally.replayOf(job, swept)}: ${problem}`);
      }

      expect(broken).toEqual([]);
    });
  }

  it("of each class came, and each kind of call was met", () => {
    expect(faultNames.filter((fault) => !tally.byFault.has(fault))).toEqual([]);
    expect(VERBS.filter((verb) => !tally.verbs.has(verb))).toEqual([]);
  });
});
