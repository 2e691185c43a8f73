import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import type { Job } from "../bar.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { connect } from "../connection.ts";
import { checkJobNamed, findJob, pathOfJob } from "../job-address.ts";
import { changesOf, type ChangeOptions } from "../submission.ts";
import { checkKey } from "./submit.ts";
import { watchJobs } from "./watch.ts";

export interface RetryOptions extends CommonOptions, ChangeOptions {
  readonly skipped?: boolean;
  readonly sameVersion?: boolean;
  readonly idempotencyKey?: string;
  readonly watch?: boolean;
}

/** Runs failed items of an ended job again, as a new job; says which items, and on which version. */
export async function retry(cli: Cli, names: readonly string[], options: RetryOptions): Promise<number> {
  checkJobNamed(names);
  const { idempotencyKey: key } = options;
  if (key !== undefined) checkKey(key);
  const fields = {
    ...(await changesOf(cli, options)),
    batch_size: options.batchSize,
    items: options.skipped === true ? "failed_and_skipped" : undefined,
    version: options.sameVersion === true ? "same" : undefined,
  };
  const { client } = await connect(cli, options);
  const parent = await findJob(client, names);
  const headers = { "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) };
  const body = Buffer.from(JSON.stringify(fields));
  const job = await client.json<Job>(`${pathOfJob(parent)}/retry`, { method: "POST", body, headers });
  for (const warning of job.warnings) cli.err.write(`warning: ${warning}\n`);
  if (options.output !== "json") cli.err.write(`retrying ${words(parent, job, options)}\n`);
  if (options.watch === true) return watchJobs(cli, client, job, options);
  if (options.output === "json") cli.out.write(`${JSON.stringify(job, undefined, 2)}\n`);
  else {
    cli.out.write(`${job.job_id}\n`);
    cli.err.write(`\`millrace watch ${job.job_id}\` shows how it goes\n`);
  }
  return CLI_EXIT.ok;
}

function words(parent: Job, job: Job, { skipped, sameVersion }: RetryOptions): string {
  const items = skipped === true ? "items that failed or were skipped" : "failed items";
  const which = job.version === parent.version ? "as it was then" : `then it was ${parent.version}`;
  const version = `${sameVersion === true ? "" : "the newest "}version ${job.version} (${which})`;
  return `the ${items} of job ${parent.job_id} on ${version}`;
}
