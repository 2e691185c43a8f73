/** Which job `[API] JOB` means. Job ids are unique, so the API may be left out. */
import { isJobId } from "../services/protocol/ids.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import type { apiToWire } from "../services/batch-api/routes/api-wire.ts";
import type { Job } from "./bar.ts";
import { CliError } from "./cli-error.ts";
import type { Client } from "./client.ts";

export type Api = ReturnType<typeof apiToWire>;

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly next: string | null;
}

export function jobsPath(api: string): string {
  return `/v1/apis/${encodeURIComponent(api)}/jobs`;
}

export function pathOfJob({ api, job_id: id }: Pick<Job, "api" | "job_id">): string {
  return `${jobsPath(api)}/${encodeURIComponent(id)}`;
}

interface ApiList {
  readonly apis: readonly Api[];
  /** Those whose records cannot be read, and why; services of an older version tell of none. */
  readonly damaged?: readonly { readonly name: string; readonly message: string }[];
}

export async function listApis(client: Client): Promise<ApiList> {
  return client.json<ApiList>("/v1/apis");
}

/** For what is never done to a job that was not named. Throws `CliError`. */
export function checkJobNamed(names: readonly string[]): void {
  const id = names.at(-1) ?? "";
  if (isJobId(id)) return;
  const api = names.length > 1 ? names[0] : id;
  throw new CliError(
    `JOB: found "${id}"; give a job's id, 16 hex digits: \`millrace list ${api ?? "API"}\` shows them`,
  );
}

/** `API JOB`, `JOB`, or `API` for its newest one. Throws `CliError` (not found). */
export async function findJob(client: Client, names: readonly string[]): Promise<Job> {
  const [first = "", second] = names;
  if (second !== undefined) return client.json<Job>(pathOfJob({ api: first, job_id: second }));
  if (isJobId(first)) return searchJob(client, first);
  const { jobs } = await client.json<JobPage>(`${jobsPath(first)}?limit=1`);
  const [newest] = jobs;
  if (newest !== undefined) return newest;
  throw new CliError(
    `API "${first}" has no jobs; submit one with \`millrace submit ${first} INPUT…\``,
    CLI_EXIT.notFound,
  );
}

async function searchJob(client: Client, id: string): Promise<Job> {
  const { apis, damaged = [] } = await listApis(client);
  const names = [...apis, ...damaged].map(({ name }) => name);
  for (const name of names) {
    try {
      return await client.json<Job>(pathOfJob({ api: name, job_id: id }));
    } catch (error) {
      if (!(error instanceof CliError) || error.exitCode !== CLI_EXIT.notFound) throw error;
    }
  }
  const looked = names.length === 0 ? "no API is deployed here" : `looked in ${names.join(", ")}`;
  throw new CliError(`there is no job ${id} (${looked}); \`millrace list API\` shows the ids`, CLI_EXIT.notFound);
}
