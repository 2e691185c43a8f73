import { isJobId } from "../../services/protocol/ids.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { connect } from "../connection.ts";
import { findJob, pathOfJob } from "../job-address.ts";

/** Asks for the stop of a job; what has succeeded stays. */
export async function stop(cli: Cli, names: readonly string[], options: CommonOptions): Promise<number> {
  const id = names.at(-1) ?? "";
  if (!isJobId(id)) throw new CliError(`JOB: found "${id}"; give the id of a job, which has 16 hex digits`);
  const { client } = await connect(cli, options);
  const job = await findJob(client, names);
  const stopped = await client.json<Job>(`${pathOfJob(job)}/stop`, { method: "POST" });
  if (options.output === "json") cli.out.write(`${JSON.stringify(stopped, undefined, 2)}\n`);
  else cli.out.write(`stopping ${job.job_id} of ${job.api}\n`);
  return CLI_EXIT.ok;
}
