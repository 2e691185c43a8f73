import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import type { Job } from "../bar.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { connect } from "../connection.ts";
import { checkJobNamed, findJob, pathOfJob } from "../job-address.ts";

/** Asks for the stop of a job; what has succeeded stays. */
export async function stop(cli: Cli, names: readonly string[], options: CommonOptions): Promise<number> {
  checkJobNamed(names);
  const { client } = await connect(cli, options);
  const job = await findJob(client, names);
  const stopped = await client.json<Job>(`${pathOfJob(job)}/stop`, { method: "POST" });
  if (options.output === "json") cli.out.write(`${JSON.stringify(stopped, undefined, 2)}\n`);
  else cli.out.write(`stopping ${job.job_id} of ${job.api}\n`);
  return CLI_EXIT.ok;
}
