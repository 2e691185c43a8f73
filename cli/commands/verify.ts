import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { ObjectStore } from "../../services/backends/object-store.ts";
import { openFileStore } from "../../services/backends/object-store.files.ts";
import { isJobId } from "../../services/protocol/ids.ts";
import { API_PREFIX, apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { Problem } from "../../services/protocol/problems.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import type { CheckResult, VerifyReport } from "../../services/batch-api/jobs/verify/report.ts";
import { countOf } from "../amounts.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { rootOf } from "../connection.ts";
import { paintFor, type Paint } from "../paint.ts";

export interface VerifyOptions extends CommonOptions {
  /** All jobs of the API that is named, or of every API. */
  readonly all?: true;
  /** `s3://bucket` of a cluster's jobs, read with this machine's credentials. */
  readonly store?: string;
}

/** Checks the invariants on the objects of jobs, whether a service runs or not. 0 only when nothing is broken. */
export async function verify(cli: Cli, names: readonly string[], options: VerifyOptions): Promise<number> {
  if (options.all === undefined && names.length === 0) {
    throw new CliError("verify: found no job; name one ([API] JOB), or check all of them with --all");
  }
  const { store, where, close } = await openedStore(cli, options);
  try {
    if (options.all !== undefined) return await verifyAll(cli, store, names, options);
    const { api, id } = await jobOf(store, where, names);
    const report = await verifyJob(store, api, id);
    if (options.output === "json") cli.out.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else cli.out.write(`${reportLines(report, paintFor(cli.out, cli.environment)).join("\n")}\n`);
    return report.sound ? CLI_EXIT.ok : CLI_EXIT.failed;
  } finally {
    await close();
  }
}

interface OpenedStore {
  readonly store: ObjectStore;
  /** As a person knows it. */
  readonly where: string;
  readonly close: () => Promise<void>;
}

async function openedStore(cli: Cli, options: VerifyOptions): Promise<OpenedStore> {
  if (options.store !== undefined) {
    const { openBucket } = await import("../bucket-store.ts"); // loaded only here: it takes its time
    return { store: openBucket(cli, options.store), where: options.store, close: () => Promise.resolve() };
  }
  const root = rootOf(cli, options);
  const folder = join(root, "store");
  if ((await stat(folder).catch(() => undefined)) === undefined) {
    throw new CliError(`--root: ${root} holds no jobs; name the root of the service that ran it`, CLI_EXIT.notFound);
  }
  const store = await openFileStore({ root: folder });
  return { store, where: root, close: () => store.close() };
}

/** Each job on a line of its own; what is broken in full. As JSON: a line for each job. */
async function verifyAll(
  cli: Cli,
  store: ObjectStore,
  names: readonly string[],
  { output }: VerifyOptions,
): Promise<number> {
  const [only, ...others] = names;
  if (others.length > 0) throw new CliError("--all: found several names; name one API, or none for all of them");
  const paint = paintFor(cli.out, cli.environment);
  const apis = only === undefined ? await namesUnder(store, API_PREFIX) : [only];
  let [jobs, broken] = [0, 0];
  for (const api of apis) {
    for (const job of await namesUnder(store, apiKeys(api).jobs)) {
      const report = await verifyJob(store, api, job).catch((error: unknown) => {
        if (error instanceof Problem) return undefined; // it was removed meanwhile
        throw error;
      });
      if (report === undefined) continue;
      jobs += 1;
      if (!report.sound) broken += 1;
      if (output === "json") cli.out.write(`${JSON.stringify(report)}\n`);
      else cli.out.write(`${(report.sound ? [soundLine(report, paint)] : reportLines(report, paint)).join("\n")}\n`);
    }
  }
  if (jobs === 0 && only !== undefined)
    throw new CliError(
      `--all: no API "${only}" with a job is there; \`millrace list\` shows the APIs`,
      CLI_EXIT.notFound,
    );
  if (output !== "json")
    cli.out.write(
      `${countOf(jobs, "job")}, ${String(broken)} of them BROKEN\n`.replace(", 0 of them BROKEN", ": sound"),
    );
  return broken === 0 ? CLI_EXIT.ok : CLI_EXIT.failed;
}

function soundLine(report: VerifyReport, paint: Paint): string {
  const counts = `${countOf(report.items, "item")} in ${countOf(report.batches, "batch", "batches")}`;
  const kept = report.results_removed === undefined ? "" : paint("dim", ", results removed");
  return `  ${paint("green", "sound  ")} ${report.api} ${report.job} (${report.state}): ${counts}${kept}`;
}

/** What stands next under a prefix (`<prefix><name>/…`). */
async function namesUnder(store: ObjectStore, prefix: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (let after: string | undefined; ;) {
    const page = await store.list(prefix, { limit: 1, ...(after === undefined ? {} : { after }) });
    const name = page.entries[0]?.key.slice(prefix.length).split("/")[0];
    if (name === undefined) return names;
    names.push(name);
    after = `${prefix}${name}0`; // "0" is the character after "/"
  }
}

/** `API JOB`, `JOB`, or `API` for its newest one. */
async function jobOf(store: ObjectStore, where: string, names: readonly string[]) {
  const [first = "", second] = names;
  if (second !== undefined) return { api: first, id: second };
  for (const api of await namesUnder(store, API_PREFIX)) {
    const under = isJobId(first) ? jobKeys(api, first).root : undefined;
    if (under !== undefined && (await store.list(under, { limit: 1 })).entries.length > 0) return { api, id: first };
    if (api !== first) continue;
    const { jobs } = apiKeys(api);
    const [newest] = (await store.list(jobs, { limit: 1 })).entries; // ids sort newest first
    if (newest !== undefined) return { api, id: newest.key.slice(jobs.length).split("/")[0] ?? "" };
  }
  const what = isJobId(first) ? `job ${first}` : `API "${first}" with a job`;
  throw new CliError(`${where} has no ${what}; \`millrace list\` shows what there is`, CLI_EXIT.notFound);
}

const MARKS = {
  holds: ["green", "holds  "],
  broken: ["red", "BROKEN "],
  not_yet: ["dim", "not yet"],
  removed: ["dim", "removed"],
} as const;

export function reportLines(report: VerifyReport, paint: Paint): readonly string[] {
  const lines = report.checks.flatMap((check) => checkLines(check, paint));
  const broken = report.checks.filter(({ result }) => result === "broken").length;
  const holds = report.checks.filter(({ result }) => result === "holds").length;
  const what = `job ${report.job} of ${report.api} (${report.state}): ${countOf(report.items, "item")} in ${countOf(report.batches, "batch", "batches")}`;
  const verdict = report.sound
    ? paint("green", `sound: ${countOf(holds, "check")} hold`)
    : paint("red", `BROKEN: ${countOf(broken, "check")} of ${String(report.checks.length)}`);
  const removed = report.results_removed;
  const kept = removed === undefined ? [] : [paint("dim", `  its results are not kept any more, since ${removed}`)];
  return [what, ...kept, ...lines, verdict];
}

function checkLines({ name, invariants, result, findings }: CheckResult, paint: Paint): readonly string[] {
  const [colour, mark] = MARKS[result];
  const proof = invariants.length === 0 ? "" : paint("dim", ` (${invariants.join(", ")})`);
  const found = findings.flatMap(({ problem, mend }) => [`          ${problem}`, `          ${paint("dim", mend)}`]);
  return [`  ${paint(colour, mark)} ${name}${proof}`, ...found];
}
