/**
 * Looks for a violation, and says as one line of JSON what it found:
 *
 *     node test/mutants/hunt.ts simulation --seeds 200
 *     node test/mutants/hunt.ts sweep --job ended --fault hangs
 */
import { parseArgs } from "node:util";
import { runSeed } from "../simulation/run-seed.ts";
import { faultNames } from "../sweep/single-fault.ts";
import { sweep } from "../sweep/sweep.ts";
import { sweptJobNames } from "../sweep/swept-jobs.ts";

/** What a hunt found: where, and the first sentence about it; `where` undefined: nothing was wrong. */
export interface Found {
  readonly where: string | undefined;
  readonly problem: string;
  /** Seeds or faults that were tried. */
  readonly tried: number;
  readonly seconds: number;
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: "string" }, job: { type: "string" }, fault: { type: "string" } },
});
const startedMs = performance.now();
const found = positionals[0] === "sweep" ? await huntFaults() : await huntSeeds();
const seconds = (performance.now() - startedMs) / 1000;
process.stdout.write(`${JSON.stringify({ ...found, seconds } satisfies Found)}\n`);

async function huntSeeds(): Promise<Omit<Found, "seconds">> {
  const seeds = Number(values.seeds ?? "200");
  for (let seed = 1; seed <= seeds; seed += 1) {
    const [problem] = await runSeed(seed).then(({ violations }) => violations, thrown);
    if (problem !== undefined) return { where: `seed ${String(seed)}`, problem, tried: seed };
  }
  return { where: undefined, problem: "", tried: seeds };
}

/** Whoever judges a run may stumble over what it left behind. */
function thrown(error: unknown): readonly string[] {
  return [String(error)];
}

async function huntFaults(): Promise<Omit<Found, "seconds">> {
  const job = sweptJobNames.find((name) => name === values.job) ?? "ended";
  const only = faultNames.find((name) => name === values.fault);
  let tried = 0;
  try {
    for await (const { fault, call, problems } of sweep(job, { rotated: true, ...(only && { only }) })) {
      tried += 1;
      const [problem] = problems;
      if (problem !== undefined) return { where: `${fault} at ${call.words}`, problem, tried };
    }
  } catch (error) {
    return { where: `job "${job}"`, problem: String(error), tried };
  }
  return { where: undefined, problem: "", tried };
}
