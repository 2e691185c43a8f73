/**
 * Plants one mutant into the process that preloads this file:
 *
 *     MILLRACE_TEST_MUTANT="ack before ledger" node --import ./test/mutants/plant.ts test/simulation/main.ts
 *
 * The process fails when the mutant's file was not loaded by its end: nothing was planted then.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MUTANT_VARIABLE, planted } from "./mutant.ts";
import { mutantNamed } from "./mutants.ts";

const mutant = mutantNamed(process.env[MUTANT_VARIABLE] ?? "");
const url = pathToFileURL(join(import.meta.dirname, "../..", mutant.file)).href;
let isPlanted = false;

registerHooks({
  load(asked, context, nextLoad) {
    const loaded = nextLoad(asked, context);
    if (asked !== url) return loaded;
    isPlanted = true;
    return { ...loaded, source: planted(mutant, readFileSync(new URL(url), "utf8")) };
  },
});

process.on("exit", () => {
  if (isPlanted) return;
  process.stderr.write(`mutant "${mutant.name}" was not planted: nothing loaded ${mutant.file}\n`);
  process.exitCode = 70;
});
