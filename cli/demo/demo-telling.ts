/** What the demo says of its job: the killed worker, the types, the proof, and what to try next. */
import { relative } from "node:path";
import type { FileStore } from "../../services/backends/object-store.files.ts";
import type { ProcessIdentity } from "../../services/backends/process-identity.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import type { Manifest } from "../../services/protocol/jobs.ts";
import { counted, countOf } from "../amounts.ts";
import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { Client } from "../client.ts";
import { pathOfJob } from "../job-address.ts";
import type { Paint } from "../paint.ts";
import { settledBy, type Killed } from "./killed-worker.ts";
import { TypeSummary } from "./type-summary.ts";

/** What every step of the demo works with. */
export interface Stage {
  readonly cli: Cli;
  readonly root: string;
  readonly say: (line?: string) => void;
  readonly paint: Paint;
  readonly client: Client;
  readonly store: FileStore;
  /** All workers that were ever seen, to look for them at the end. */
  readonly seen: Map<string, ProcessIdentity>;
}

export function killedWords({ worker, pid, held, replacement }: Killed): readonly string[] {
  const batches = countOf(held.length, "unsettled batch", "unsettled batches");
  return [
    `Killed worker ${worker} (pid ${String(pid)}) with SIGKILL, on purpose`,
    `  it held ${batches}, handed back to the queue; ` +
      (replacement === undefined
        ? "the job ended before its replacement was ready"
        : `its replacement ${replacement.worker} was ready ${replacement.readySeconds.toFixed(2)} s later`),
  ];
}

export async function tellKilled({ store, say }: Stage, job: Job, { held }: Killed): Promise<void> {
  if (held.length === 0) return;
  const workers = await settledBy(store, job, held);
  say(`What the killed worker held (batch ${held.join(", ")}) was settled by ${workers.join(" and ")}`);
}

/** The table, the misnamed, and the proof. True when nothing is lost, twice or broken. */
export async function tellResults(stage: Stage, job: Job): Promise<boolean> {
  const { client } = stage;
  const summary = new TypeSummary(job.items.total);
  for await (const line of client.lines(`${pathOfJob(job)}/results`)) summary.addResult(line);
  for await (const line of client.lines(`${pathOfJob(job)}/errors`)) summary.addFailed(line);
  tellTypes(stage, summary);
  return tellProof(stage, job, summary);
}

function tellTypes(stage: Stage, summary: TypeSummary): void {
  const { say, paint } = stage;
  say();
  for (const line of summary.table(paint)) say(line);
  say();
  const { files, example } = summary.misnamed;
  const misnamed = countOf(files, "file is not what its name says", "files are not what their names say");
  say(example === undefined ? misnamed : `${misnamed}, for example`);
  if (example !== undefined) {
    const sure = `${(example.score * 100).toFixed(1)} % sure`;
    say(`  ${shown(stage, example.path)}: in it is ${example.label} (${sure})`);
  }
  if (summary.unreadable > 0) say(`${countOf(summary.unreadable, "file")} could not be read`);
}

async function tellProof({ store, say, paint }: Stage, job: Job, summary: TypeSummary): Promise<boolean> {
  const manifest = await store.get(jobKeys(job.api, job.job_id).manifest);
  if (manifest === undefined) {
    throw new CliError(`job ${job.job_id} has no manifest; run millrace verify`, CLI_EXIT.failed);
  }
  const { counts } = JSON.parse(manifest.bytes.toString()) as Manifest;
  const { items, items_succeeded: succeeded, items_failed: failed } = counts;
  const { lost, twice } = summary.faults;
  const whole = succeeded + failed === items && lost + twice === 0;
  const sum = `${counted(succeeded)} succeeded + ${counted(failed)} failed = ${counted(succeeded + failed)}`;
  const words = `${sum} of ${counted(items)}, ${counted(lost)} lost, ${counted(twice)} twice`;
  say(`${paint(whole ? "green" : "red", words)} (counted from the manifest and from each row)`);
  const report = await verifyJob(store, job.api, job.job_id);
  const holds = report.checks.filter(({ result }) => result === "holds").length;
  say(`verify: ${counted(holds)} of ${countOf(report.checks.length, "check")} hold on the stored objects`);
  return whole && report.sound;
}

export function tellNext(stage: Stage, job: Job): void {
  const { say, root, paint } = stage;
  const where = shown(stage, root);
  const command = (words: string) => paint("bold", `  npm run -s millrace -- ${words} --root ${where}`);
  say();
  say(`Results and logs are kept in ${where} until the next demo. Look at them:`);
  say(command(`results ${job.job_id}`));
  say(command(`logs ${job.job_id}`));
  say(command(`verify ${job.job_id}`));
  say("Then run it on your own files, and see all of it:");
  say(paint("bold", "  npm run demo -- FOLDER"));
  say(paint("bold", "  npm run -s millrace -- --help"));
}

export function shown({ cli }: Stage, path: string): string {
  const short = relative(cli.folder, path);
  return short.startsWith("..") ? path : short;
}
