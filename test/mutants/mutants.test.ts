import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { hunt } from "./catch.ts";
import { planted } from "./mutant.ts";
import { mutants } from "./mutants.ts";

const root = join(import.meta.dirname, "../..");
const seedsMax = Math.max(...mutants.map(({ caughtBy }) => (caughtBy.by === "simulation" ? caughtBy.seeds : 0)));
const caught: string[] = [];

afterAll(() => {
  process.stdout.write(`${String(caught.length)} mutants caught\n${caught.toSorted().join("\n")}\n`);
});

describe("a planted bug", () => {
  it("fits the code as it is", () => {
    for (const mutant of mutants) {
      expect(existsSync(join(root, mutant.file)), mutant.name).toBe(true);

      expect(planted(mutant, readFileSync(join(root, mutant.file), "utf8"))).not.toBe("");
    }
  });

  it("has a name of its own", () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });

  it.concurrent("is not needed for the simulation to find nothing", { timeout: 600_000 }, async () => {
    expect((await hunt({ by: "simulation", seeds: seedsMax })).problem).toBe("");
  });

  for (const mutant of mutants) {
    it.concurrent(`is caught: ${mutant.name}`, { timeout: 600_000 }, async () => {
      const { where, problem, tried, seconds } = await hunt(mutant.caughtBy, mutant);

      expect(
        where,
        `${mutant.name} was not caught by its ${mutant.caughtBy.by} in ${String(tried)} tries`,
      ).toBeDefined();
      const how = `${mutant.caughtBy.by} (try ${String(tried)}, ${seconds.toFixed(1)} s)`;
      caught.push(`  ${mutant.name.padEnd(36)} ${how.padEnd(30)} ${where ?? ""}: ${problem.trim().slice(0, 100)}`);
    });
  }
});
