/** Runs tests with the mutant that the environment names: `MILLRACE_TEST_MUTANT=… vitest run --config <this file> …`. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { MUTANT_VARIABLE, planted } from "./mutant.ts";
import { mutantNamed } from "./mutants.ts";

const root = join(import.meta.dirname, "../..");
const mutant = mutantNamed(process.env[MUTANT_VARIABLE] ?? "");
let isPlanted = false;

process.on("exit", () => {
  if (!isPlanted) process.exitCode = 70; // no test can have met it
});

export default defineConfig({
  root,
  plugins: [
    {
      name: "plant-a-mutant",
      enforce: "pre",
      transform(code: string, id: string) {
        if (id !== join(root, mutant.file)) return undefined;
        isPlanted = true;
        return planted(mutant, code);
      },
    },
  ],
  // the cache does not know of mutants: what was planted once would stay for the next one
  test: { include: ["test/**/*.test.ts"], maxWorkers: 1, testTimeout: 10_000, fsModuleCache: false },
});
