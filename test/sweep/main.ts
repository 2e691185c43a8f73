/**
 * The single-fault sweep by hand: every call with every fault (`--rotated`: with one each), or one of them with its story:
 *
 *     node test/sweep/main.ts
 *     node test/sweep/main.ts --job ended --fault "lands late" --at 117
 */
import { parseArgs } from "node:util";
import { runFault } from "./run-fault.ts";
import { faultNames, type Fault } from "./single-fault.ts";
import { sweep, SweepTally } from "./sweep.ts";
import { sweptJobNames, type SweptJobName } from "./swept-jobs.ts";

const { values } = parseArgs({
  options: {
    job: { type: "string" },
    fault: { type: "string" },
    at: { type: "string" },
    rotated: { type: "boolean", default: false },
    lines: { type: "string", default: "200" },
  },
});
const write = (line: string) => process.stdout.write(`${line}\n`);
const jobs = values.job === undefined ? sweptJobNames : [nameOf(sweptJobNames, values.job, "job")];

if (values.fault === undefined) await sweepAll();
else await tell(jobs[0] ?? "ended", nameOf(faultNames, values.fault, "fault"));

async function sweepAll(): Promise<void> {
  const tally = new SweepTally();
  for (const job of jobs) {
    for await (const swept of sweep(job, values)) {
      tally.add(job, swept);
      for (const problem of swept.problems) write(`${tally.replayOf(job, swept)}: ${problem}`);
    }
  }
  write(tally.sentence);
  process.exitCode = tally.failed > 0 ? 1 : 0;
}

async function tell(job: SweptJobName, fault: Fault): Promise<void> {
  const run = await runFault(job, fault, values.at === undefined ? undefined : Number(values.at), { told: true });
  for (const line of run.last(Number(values.lines))) write(line);
  for (const problem of run.problems) write(`BROKEN ${problem}`);
  write(`over ${run.leases.toFixed(1)} leases after the fault`);
  process.exitCode = run.problems.length > 0 ? 1 : 0;
}

function nameOf<Name extends string>(names: readonly Name[], given: string, what: string): Name {
  const found = names.find((name) => name === given);
  if (found === undefined) throw new Error(`there is no ${what} "${given}"; there are: ${names.join(", ")}`);
  return found;
}
