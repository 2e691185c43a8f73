import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { Client } from "../client.ts";
import type { CommonOptions } from "../common-options.ts";
import { LIMITS } from "../../services/protocol/limits.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { connect } from "../connection.ts";
import { jobsPath } from "../job-address.ts";
import { readBody, submissionOf, type JobOptions } from "../submission.ts";
import { watchJobs } from "./watch.ts";

export interface SubmitOptions extends CommonOptions, JobOptions {
  readonly body?: string;
  readonly watch?: boolean;
  readonly dryRun?: boolean;
  readonly idempotencyKey?: string;
}

/** Submits a job; with --watch stays with it. */
export async function submit(
  cli: Cli,
  api: string,
  inputs: readonly string[],
  options: SubmitOptions,
): Promise<number> {
  if (options.idempotencyKey !== undefined) checkKey(options.idempotencyKey);
  const body = await bodyOf(cli, inputs, options);
  const { client } = await connect(cli, options);
  if (options.dryRun === true) return dryRun(cli, client, api, body, options);
  const key = options.idempotencyKey;
  const job = await submitJob(cli, client, api, body, key);
  if (options.output === "json" && options.watch !== true) cli.out.write(`${JSON.stringify(job, undefined, 2)}\n`);
  if (options.watch === true) return watchJobs(cli, client, job, options);
  if (options.output !== "json") {
    cli.out.write(`${job.job_id}\n`);
    cli.err.write(`submitted to ${job.api}; \`millrace watch ${job.job_id}\` shows how it goes\n`);
  }
  return CLI_EXIT.ok;
}

/** Header values are ASCII; what the service takes is narrower. */
export function checkKey(key: string): void {
  const most = LIMITS.idempotencyKeyCharactersMax;
  if (key.length <= most && /^[\x21-\x7e]+$/.test(key)) return;
  throw new CliError(`--idempotency-key: give 1 to ${String(most)} printable ASCII characters without blanks`);
}

async function bodyOf(cli: Cli, inputs: readonly string[], options: SubmitOptions): Promise<Buffer> {
  if (options.body === undefined) {
    const { body, inputs: read } = await submissionOf(cli, inputs, options);
    if (read.guess !== undefined) cli.err.write(`${read.guess}\n`);
    return body;
  }
  const others = [
    "as",
    "workers",
    "batchSize",
    "config",
    "timeout",
    "attempts",
    "batchTimeout",
    "priority",
    "label",
    "include",
    "exclude",
  ] as const;
  const given = others.filter((name) => options[name] !== undefined);
  if (inputs.length > 0 || given.length > 0) {
    const found =
      inputs.length > 0
        ? "INPUT"
        : given.map((name) => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`).join(", ");
    throw new CliError(`--body: found ${found} as well; the body says everything, so leave that out`);
  }
  return readBody(cli, options.body);
}

/** Submits, and tells what the service warns of. Throws `CliError`. */
export async function submitJob(
  cli: Cli,
  client: Client,
  api: string,
  body: Buffer,
  idempotencyKey?: string,
): Promise<Job> {
  const headers = {
    "content-type": "application/json",
    ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
  };
  const job = await client.json<Job>(jobsPath(api), { method: "POST", body, headers });
  for (const warning of job.warnings) cli.err.write(`warning: ${warning}\n`);
  return job;
}

async function dryRun(cli: Cli, client: Client, api: string, body: Buffer, options: SubmitOptions): Promise<number> {
  const headers = { "content-type": "application/json" };
  const path = `${jobsPath(api)}?dry_run=true`;
  const found = await client.json<{ objects: number; uris: readonly string[] }>(path, {
    method: "POST",
    body,
    headers,
  });
  if (options.output === "json") cli.out.write(`${JSON.stringify(found, undefined, 2)}\n`);
  else {
    cli.out.write(found.uris.map((uri) => `${uri}\n`).join(""));
    cli.err.write(`the submission is valid; ${String(found.objects)} objects would be read\n`);
  }
  return CLI_EXIT.ok;
}
