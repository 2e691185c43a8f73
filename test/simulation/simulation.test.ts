import { describe, expect, it } from "vitest";
import { neverHappened } from "./must-happen.ts";
import { runSeed } from "./run-seed.ts";
import { runSeeds } from "./run-seeds.ts";

const SEEDS = 2_500;
/** On two processors that have nothing else to do it takes a fraction of this. */
const TIMEOUT_MS = 600_000;

describe("the simulated cluster", () => {
  it(
    `breaks no invariant and leaves no job hanging in ${String(SEEDS)} seeds, in which every rare thing happens`,
    async () => {
      const { jobs, events, counters, broken } = await runSeeds({ from: 1, seeds: SEEDS });

      const told = [...counters].map(([name, count]) => `${name}: ${String(count)}`).join(", ");
      process.stdout.write(
        `simulated: ${String(SEEDS)} seeds, ${String(jobs)} jobs, ${String(events)} events; ${told}\n`,
      );
      const words = [...broken].map(([seed, violations]) => `npm run simulate -- --seed ${String(seed)}: ${violations.join("; ")}`); // prettier-ignore
      expect(words).toEqual([]);
      expect(neverHappened(counters)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it("plays a seed again exactly as it was, told or not", async () => {
    for (const seed of [3, 16, 17, 21, 29]) {
      const [once, again] = [await runSeed(seed), await runSeed(seed, { told: true })];

      expect(again.hash).toBe(once.hash);
      expect(again.events).toBe(once.events);
      expect(again.last(5)).toHaveLength(5);
    }
  });
});
