import { describe, expect, it } from "vitest";
import { soak } from "./soak/soak.ts";

const SECONDS = 60;
const TEST_MS = 400_000;

describe("a whole system that is killed, drained and frozen at random for a minute", () => {
  it(
    "loses nothing, counts exactly, repeats only what a blow explains, and leaves nothing behind",
    async () => {
      // throws what is wrong, also when a kind of blow never fell
      const report = await soak({ seconds: SECONDS, seed: 1, say: () => undefined });

      process.stdout.write(`soak of ${String(SECONDS)} s: ${JSON.stringify(report)}\n`);
      expect(report.starts).toBeGreaterThan(3);
      expect(report.jobs).toBeGreaterThan(4);
    },
    TEST_MS,
  );
});
