import { describe, expect, it } from "vitest";
import { cloudSoak } from "./cloud-soak.ts";

const SECONDS = 60;
const TEST_MS = 500_000;

describe("two replicas and their workers that are struck while their servers fail, for a minute", () => {
  it(
    "lose nothing, count exactly, and leave nothing behind",
    async () => {
      // throws what is wrong, also when a kind of blow or fault never happened
      const report = await cloudSoak({ seconds: SECONDS, seed: 1, say: () => undefined });

      process.stdout.write(`cloud soak of ${String(SECONDS)} s: ${JSON.stringify(report)}\n`);
      expect(report.jobs).toBeGreaterThan(2);
    },
    TEST_MS,
  );
});
