// npm run soak -- [--help]: kills, drains and freezes a whole system for so long, then asks whether all was kept.
import { parseArgs } from "node:util";
import { numberOf, runProgram } from "../support/a-program.ts";
import { soak } from "./soak/soak.ts";

const HELP = `npm run soak -- [options]: kills, drains and freezes a whole system at random, then asks whether all was kept
  --minutes N   for how long; or
  --seconds N   for how long; default 60. From 45 s on each kind of blow must have happened
  --seed N      decides who is struck, when and how; default 1
  --cloud       two replicas and their workers as processes, over servers of the cloud's protocols, which fail as well;
                needs what npm run test:cloud needs. From 60 s on each kind of fault must have happened
`;

const OPTIONS = {
  seconds: { type: "string" },
  minutes: { type: "string" },
  seed: { type: "string", default: "1" },
  cloud: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;
const say = (sentence: string) => process.stdout.write(`${sentence}\n`);

async function run(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const options = { seconds: secondsOf(values.seconds, values.minutes), seed: numberOf("--seed", values.seed), say };
  const report = values.cloud
    ? await (await import("../cloud/soak/cloud-soak.ts")).cloudSoak(options)
    : await soak(options);
  say(JSON.stringify(report, undefined, 2));
  return 0;
}

function secondsOf(seconds: string | undefined, minutes: string | undefined): number {
  if (seconds !== undefined && minutes !== undefined) throw new Error("give --seconds or --minutes, not both");
  return minutes === undefined ? numberOf("--seconds", seconds ?? "60") : 60 * numberOf("--minutes", minutes);
}

await runProgram("npm run soak -- --help says more", run);
