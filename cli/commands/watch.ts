import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { isFinal } from "../../services/protocol/states.ts";
import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { Client } from "../client.ts";
import type { CommonOptions } from "../common-options.ts";
import { connectToRead, rootOf } from "../connection.ts";
import { findJob } from "../job-address.ts";
import { exitCodeOfJob, tellEnd } from "../job-end.ts";
import { displayFor, jsonDisplay, watchToEnd } from "../watching.ts";

export async function watch(cli: Cli, names: readonly string[], options: CommonOptions): Promise<number> {
  const connection = await connectToRead(cli, options);
  try {
    const job = await findJob(connection.client, names);
    if (connection.kind === "stored" && !isFinal(job.state)) throw notRunning(job, rootOf(cli, options));
    return await watchJobs(cli, connection.client, job, options);
  } finally {
    await connection.close();
  }
}

/** Watches until the end; Ctrl-C leaves the job alone. */
export async function watchJobs(cli: Cli, client: Client, job: Job, options: CommonOptions): Promise<number> {
  const json = options.output === "json";
  if (!json) cli.err.write(`job ${job.job_id} of ${job.api}\n`);
  const display = json ? jsonDisplay(cli) : displayFor(cli);
  const final = await watchToEnd(cli, client, job, cli.interrupts.take(), display);
  if (final === undefined) {
    cli.err.write(`detached; the job goes on. To come back: millrace watch ${job.job_id}\n`);
    return CLI_EXIT.detached;
  }
  if (!json) await tellEnd(cli, client, final);
  return exitCodeOfJob(final);
}

function notRunning(job: Job, root: string): CliError {
  const fix = "`millrace serve` goes on with it";
  return new CliError(
    `job ${job.job_id} is ${job.state}, and no service runs on ${root}; ${fix}`,
    CLI_EXIT.unreachable,
  );
}
