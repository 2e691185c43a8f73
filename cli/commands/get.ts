/** `get` and `list`: what there is. */
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { JOB_STATES, type JobState } from "../../services/protocol/states.ts";
import { isJobId } from "../../services/protocol/ids.ts";
import { apiLines, apiTable, jobLines, jobTable } from "../job-tables.ts";
import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { Client } from "../client.ts";
import type { CommonOptions } from "../common-options.ts";
import { connectToRead } from "../connection.ts";
import { findJob, jobsPath, listApis, type Api, type JobPage } from "../job-address.ts";
import { paintFor, type Paint } from "../paint.ts";

export interface ListOptions extends CommonOptions {
  readonly state?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

const JOBS_SHOWN = 10;

/** One job, or one API with its newest jobs, or all APIs. */
export async function get(cli: Cli, names: readonly string[], options: CommonOptions): Promise<number> {
  const [first, second] = names;
  if (first === undefined) return list(cli, undefined, options);
  return reading(cli, options, async (client, paint) => {
    if (second !== undefined || isJobId(first)) {
      const job = await findJob(client, names);
      return { json: job, lines: jobLines(job, cli.clock.wallMs(), paint) };
    }
    const api = await client.json<Api>(`/v1/apis/${encodeURIComponent(first)}`);
    const page = await client.json<JobPage>(`${jobsPath(first)}?limit=${String(JOBS_SHOWN)}`);
    const lines = [...apiLines(api, paint), "", ...tableOfJobs(page.jobs, first, cli, paint)];
    return { json: { ...api, jobs: page.jobs }, lines };
  });
}

/** All APIs, or the jobs of one. */
export async function list(cli: Cli, api: string | undefined, options: ListOptions): Promise<number> {
  return reading(cli, options, async (client, paint) => {
    if (api === undefined) {
      refuseFilters(options);
      return allApis(client, cli, paint);
    }
    const query = new URLSearchParams();
    if (options.state !== undefined) query.set("state", checkedState(options.state));
    if (options.limit !== undefined) query.set("limit", String(options.limit));
    if (options.cursor !== undefined) query.set("cursor", options.cursor);
    const page = await client.json<JobPage>(`${jobsPath(api)}?${query.toString()}`);
    const more = page.next === null ? [] : [`more: millrace list ${api} --cursor ${page.next}`];
    return { json: page, lines: [...tableOfJobs(page.jobs, api, cli, paint), ...more] };
  });
}

interface Answer {
  readonly json: unknown;
  readonly lines: readonly string[];
}

async function reading(
  cli: Cli,
  options: CommonOptions,
  answer: (client: Client, paint: Paint) => Promise<Answer>,
): Promise<number> {
  const connection = await connectToRead(cli, options);
  try {
    const { json, lines } = await answer(connection.client, paintFor(cli.out, cli.environment));
    cli.out.write(options.output === "json" ? `${JSON.stringify(json, undefined, 2)}\n` : `${lines.join("\n")}\n`);
    if (connection.kind === "stored" && options.output !== "json")
      cli.err.write("(no service runs: this is what was stored)\n");
    return CLI_EXIT.ok;
  } finally {
    await connection.close();
  }
}

async function allApis(client: Client, cli: Cli, paint: Paint): Promise<Answer> {
  const found = await listApis(client);
  const { apis, damaged = [] } = found;
  if (apis.length + damaged.length === 0)
    return { json: found, lines: ["no API yet: deploy one with `millrace deploy PROJECT`"] };
  const newest = await Promise.all(
    apis.map(async ({ name }) => (await client.json<JobPage>(`${jobsPath(name)}?limit=1`)).jobs[0]),
  );
  const table = apis.length === 0 ? [] : apiTable(apis, newest, cli.clock.wallMs(), paint);
  const warned = damaged.map(({ name, message }) => `${paint("red", "damaged")} ${paint("bold", name)}: ${message}`);
  return { json: found, lines: [...table, ...warned] };
}

function tableOfJobs(jobs: readonly Job[], api: string, cli: Cli, paint: Paint): readonly string[] {
  if (jobs.length === 0) return [`no jobs: submit one with \`millrace submit ${api} INPUT…\``];
  return jobTable(jobs, cli.clock.wallMs(), paint);
}

function refuseFilters({ state, limit, cursor }: ListOptions): void {
  const given = Object.entries({ state, limit, cursor }).find(([, value]) => value !== undefined)?.[0];
  if (given !== undefined)
    throw new CliError(`--${given}: found no API whose jobs to list; name it: \`millrace list API --${given} …\``);
}

function checkedState(state: string): JobState {
  const known = JOB_STATES.find((one) => one === state);
  if (known !== undefined) return known;
  throw new CliError(`--state: found "${state}"; give one of ${JOB_STATES.join(", ")}`);
}
