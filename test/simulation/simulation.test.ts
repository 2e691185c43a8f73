import { describe, expect, it } from "vitest";
import { runSeed } from "./run-seed.ts";

const SEEDS = 240;
/** Rare things; a run in which one of them never happened proves too little. */
const MUST_HAPPEN = [
  "call: lost request",
  "call: lost reply",
  "call: late",
  "claim reopened",
  "cut race",
  "further part: errors",
  "further part: ledger",
  "further part: results",
  "further part: verdicts",
  "generation change",
  "job completed_with_failures",
  "job failed",
  "job went on in another lane",
  "job stopped",
  "job succeeded",
  "job timed_out",
  "lane gone",
  "late ledger line",
  "late write refused",
  "leftover delivered",
  "handler late",
  "hook closed",
  "message doubled",
  "message lost",
  "message without spans",
  "re-send",
  "redelivery of a settled batch",
  "replica ends itself",
  "retry sent",
  "sent alone",
  "short poll",
  "split resumed",
  "takeover",
  "verdict",
  "worker cut off from its platform",
  "worker drained",
  "worker left: lost",
  "worker left: zombie",
];

describe("the simulated cluster", () => {
  it(`breaks no invariant and leaves no job hanging in ${String(SEEDS)} seeds, in which every rare thing happens`, async () => {
    const broken: string[] = [];
    const happened = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const run = await runSeed(seed);
      for (const name of run.counters.keys()) happened.add(name);
      for (const violation of run.violations) broken.push(`npm run simulate -- --seed ${String(seed)}: ${violation}`);
    }

    expect(broken).toEqual([]);
    expect(MUST_HAPPEN.filter((name) => !happened.has(name))).toEqual([]);
  });

  it("plays a seed again exactly as it was", async () => {
    for (const seed of [3, 17, 21]) {
      const [once, again] = [await runSeed(seed), await runSeed(seed)];

      expect(again.hash).toBe(once.hash);
      expect(again.events).toBe(once.events);
    }
  });
});
