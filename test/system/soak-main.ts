// npm run soak -- [--seconds 60] [--seed 1]: kills and freezes a whole system for so long, then asks whether all was kept.
import { parseArgs } from "node:util";
import { soak } from "./soak/soak.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, seed: { type: "string", default: "1" } },
});
const say = (sentence: string) => process.stdout.write(`${sentence}\n`);
try {
  const { events, ...report } = await soak({ seconds: Number(values.seconds), seed: Number(values.seed), say });
  const kinds = new Map<string, number>();
  for (const { target, deed } of events) kinds.set(`${deed} ${target}`, (kinds.get(`${deed} ${target}`) ?? 0) + 1);
  say(JSON.stringify({ ...report, ...Object.fromEntries(kinds) }, undefined, 2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
