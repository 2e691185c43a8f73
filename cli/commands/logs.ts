import type { LogLine } from "../../services/backends/log-store.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import type { Job } from "../bar.ts";
import type { Cli } from "../cli.ts";
import type { CommonOptions } from "../common-options.ts";
import { connectToRead } from "../connection.ts";
import { findJob, pathOfJob } from "../job-address.ts";
import { paintFor, type Colour, type Paint } from "../paint.ts";

export interface LogsOptions extends CommonOptions {
  readonly follow?: boolean;
  readonly worker?: string;
}

type WireLine = Omit<LogLine, "at"> & { readonly at: string };

const PAGE_LINES = 1_000;

/** What workers and handlers said, merged by time. */
export async function logs(cli: Cli, names: readonly string[], options: LogsOptions): Promise<number> {
  const connection = await connectToRead(cli, options);
  try {
    const { client, kind } = connection;
    const job = await findJob(client, names);
    const show = lineWriter(cli, options);
    const path = `${pathOfJob(job)}/logs?limit=${String(PAGE_LINES)}${workerQuery(options)}`;
    if (options.follow === true && kind === "service") {
      const signal = cli.interrupts.take();
      for await (const line of client.lines(`${path}&follow=true`, { signal })) show(line);
      return signal.aborted ? CLI_EXIT.detached : CLI_EXIT.ok;
    }
    let cursor: string | undefined;
    let shown = 0;
    for (;;) {
      const page = await client.page(cursor === undefined ? path : `${path}&cursor=${encodeURIComponent(cursor)}`);
      for (const line of page.lines) show(line);
      shown += page.lines.length;
      await cli.out.flushed();
      if (page.lines.length === 0 || page.cursor === undefined || page.cursor === cursor) break;
      ({ cursor } = page);
    }
    if (shown === 0) cli.err.write(`${noLines(job, options)}\n`);
    return CLI_EXIT.ok;
  } finally {
    await connection.close();
  }
}

function noLines(job: Job, { worker }: LogsOptions): string {
  if (worker === undefined) return `job ${job.job_id} is ${job.state}: nobody has said anything yet`;
  return `--worker: no worker "${worker}" of job ${job.job_id} has said anything; \`millrace logs ${job.job_id}\` has their names`;
}

function workerQuery({ worker }: LogsOptions): string {
  return worker === undefined ? "" : `&worker=${encodeURIComponent(worker)}`;
}

function lineWriter(cli: Cli, options: LogsOptions): (line: string) => void {
  if (options.output === "json") {
    return (line) => {
      cli.out.write(`${line}\n`);
    };
  }
  const paint = paintFor(cli.out, cli.environment);
  return (line) => {
    cli.out.write(`${readable(JSON.parse(line) as WireLine, paint)}\n`);
  };
}

const COLOURS = { handler: "cyan", worker: "yellow", service: "green" } as const satisfies Record<
  LogLine["from"],
  Colour
>;

/** `12:03:04.567 1-1-0-ab12cd34 batch 7  text`; a worker's own sentences name it as their source. */
function readable({ at, worker, from, batch, text }: WireLine, paint: Paint): string {
  const time = at.slice("2026-01-01T".length, -1);
  const who = from === "handler" ? worker : `${worker} (${from})`;
  const where = batch === undefined ? "" : paint("dim", ` batch ${String(batch)}`);
  return `${paint("dim", time)} ${paint(COLOURS[from], from === "service" ? from : who)}${where}  ${text}`;
}
