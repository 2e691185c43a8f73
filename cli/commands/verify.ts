import { stat } from "node:fs/promises";
import { join } from "node:path";
import { openFileStore, type FileStore } from "../../services/backends/object-store.files.ts";
import { isJobId } from "../../services/protocol/ids.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import type { CheckResult, VerifyReport } from "../../services/batch-api/jobs/verify/report.ts";
import { countOf } from "../amounts.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { rootOf } from "../connection.ts";
import { paintFor, type Paint } from "../paint.ts";
import { storedApis } from "../stored.ts";

/** Checks the invariants on the objects of a job, whether a service runs or not. 0 only when nothing is broken. */
export async function verify(cli: Cli, names: readonly string[], options: CommonOptions): Promise<number> {
  const root = rootOf(cli, options);
  const folder = join(root, "store");
  if ((await stat(folder).catch(() => undefined)) === undefined) {
    throw new CliError(`--root: ${root} holds no jobs; name the root of the service that ran it`, CLI_EXIT.notFound);
  }
  const store = await openFileStore({ root: folder });
  try {
    const { api, id } = await jobOf(cli, root, store, names);
    const report = await verifyJob(store, api, id);
    if (options.output === "json") cli.out.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else cli.out.write(`${reportLines(report, paintFor(cli.out, cli.environment)).join("\n")}\n`);
    return report.sound ? CLI_EXIT.ok : CLI_EXIT.failed;
  } finally {
    await store.close();
  }
}

/** `API JOB`, `JOB`, or `API` for its newest one. */
async function jobOf(cli: Cli, root: string, store: FileStore, names: readonly string[]) {
  const [first = "", second] = names;
  if (second !== undefined) return { api: first, id: second };
  for (const { current } of await storedApis(cli, root, store).list()) {
    const { api } = current;
    if (isJobId(first) && (await store.get(jobKeys(api, first).spec)) !== undefined) return { api, id: first };
    if (api !== first) continue;
    const { jobs } = apiKeys(api);
    const [newest] = (await store.list(jobs, { limit: 1 })).entries; // ids sort newest first
    if (newest !== undefined) return { api, id: newest.key.slice(jobs.length).split("/")[0] ?? "" };
  }
  const what = isJobId(first) ? `job ${first}` : `API "${first}" with a job`;
  throw new CliError(`${root} has no ${what}; \`millrace list\` shows what there is`, CLI_EXIT.notFound);
}

const MARKS = { holds: ["green", "holds  "], broken: ["red", "BROKEN "], not_yet: ["dim", "not yet"] } as const;

export function reportLines(report: VerifyReport, paint: Paint): readonly string[] {
  const lines = report.checks.flatMap((check) => checkLines(check, paint));
  const broken = report.checks.filter(({ result }) => result === "broken").length;
  const holds = report.checks.filter(({ result }) => result === "holds").length;
  const what = `job ${report.job} of ${report.api} (${report.state}): ${countOf(report.items, "item")} in ${countOf(report.batches, "batch", "batches")}`;
  const verdict = report.sound
    ? paint("green", `sound: ${countOf(holds, "check")} hold`)
    : paint("red", `BROKEN: ${countOf(broken, "check")} of ${String(report.checks.length)}`);
  return [what, ...lines, verdict];
}

function checkLines({ name, invariants, result, findings }: CheckResult, paint: Paint): readonly string[] {
  const [colour, mark] = MARKS[result];
  const proof = invariants.length === 0 ? "" : paint("dim", ` (${invariants.join(", ")})`);
  const found = findings.flatMap(({ problem, mend }) => [`          ${problem}`, `          ${paint("dim", mend)}`]);
  return [`  ${paint(colour, mark)} ${name}${proof}`, ...found];
}
