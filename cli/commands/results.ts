import { resolve } from "node:path";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { countOf } from "../amounts.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { connectToRead } from "../connection.ts";
import { findJob } from "../job-address.ts";
import { writeResults } from "../result-rows.ts";

export interface ResultsOptions extends CommonOptions {
  readonly failed?: boolean;
  readonly family?: boolean;
  readonly follow?: boolean;
  readonly file?: string;
}

/** Rows in input order, as NDJSON; while the job runs those of its settled beginning. */
export async function results(cli: Cli, names: readonly string[], options: ResultsOptions): Promise<number> {
  if (options.family === true && options.follow === true) {
    throw new CliError("--family: found --follow as well; leave one out, a family's rows are those of its ended jobs");
  }
  const connection = await connectToRead(cli, options);
  try {
    const job = await findJob(connection.client, names);
    const to = options.file ?? "-";
    const signal = options.follow === true ? cli.interrupts.take() : undefined;
    const wanted = {
      ...options,
      ...(signal === undefined ? {} : { signal }),
      follow: options.follow === true && connection.kind === "service",
    };
    const rows = await writeResults(cli, connection.client, job, to === "-" ? to : resolve(cli.folder, to), wanted);
    if (to !== "-") cli.err.write(`${countOf(rows, options.failed === true ? "failed item" : "result")} in ${to}\n`);
    if (!isFinal(job.state) && options.family === true) {
      cli.err.write(`job ${job.job_id} is ${job.state}: its items come in when it has ended\n`);
    } else if (!isFinal(job.state) && options.follow !== true) {
      cli.err.write(
        `job ${job.job_id} is ${job.state}: this is what its settled beginning has; --follow waits for all\n`,
      );
    }
    return signal?.aborted === true ? CLI_EXIT.detached : CLI_EXIT.ok;
  } finally {
    await connection.close();
  }
}
