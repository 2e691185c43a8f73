/** A job's rows, to a file, to stdout, or the first of them to look at. */
import { open, rename, rm } from "node:fs/promises";
import { CliError } from "./cli-error.ts";
import type { Job } from "./bar.ts";
import type { Cli } from "./cli.ts";
import type { Client } from "./client.ts";
import { pathOfJob } from "./job-address.ts";

const PREVIEW_ROWS = 5;
const NEWLINE = 10;

export interface RowsWanted {
  readonly failed?: boolean;
  readonly family?: boolean;
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** Answers how many rows were written. `-` is stdout; a file appears whole or not at all. Throws `CliError`. */
export async function writeResults(
  cli: Cli,
  client: Client,
  job: Job,
  to: string,
  wanted: RowsWanted = {},
): Promise<number> {
  const rows = rowBytes(client, job, wanted);
  if (to !== "-") return writeFile(rows, to);
  let count = 0;
  for await (const piece of rows) {
    count += newlines(piece);
    cli.out.write(piece);
    await cli.out.flushed();
  }
  return count;
}

/** Shows the first rows on stdout, and says how to get all. */
export async function previewResults(cli: Cli, client: Client, job: Job): Promise<void> {
  if (job.items.succeeded === 0) return;
  const enough = new AbortController();
  const width = cli.out.columns() - 1;
  let shown = 0;
  for await (const line of client.lines(`${pathOfJob(job)}/results`, { signal: enough.signal })) {
    cli.out.write(`${line.length > width ? `${line.slice(0, width - 1)}…` : line}\n`);
    if (++shown === PREVIEW_ROWS) break;
  }
  enough.abort();
  if (shown > 0) cli.err.write(`all results: millrace results ${job.job_id}\n`);
  else cli.err.write("the handler returned no results: it has put them elsewhere itself\n");
}

function rowBytes(client: Client, job: Job, { failed, family, follow, signal }: RowsWanted): AsyncGenerator<Buffer> {
  const query = family === true ? "?family=true" : follow === true ? "?follow=true" : "";
  const path = `${pathOfJob(job)}/${failed === true ? "errors" : "results"}${query}`;
  return client.stream(path, signal === undefined ? {} : { signal });
}

async function writeFile(rows: AsyncIterable<Buffer>, path: string): Promise<number> {
  const partial = `${path}.partial`;
  const file = await open(partial, "w").catch((error: unknown) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CliError(`results cannot be written to ${path} (${code}); name a file in a folder that you may write to`);
  });
  let count = 0;
  try {
    for await (const piece of rows) {
      count += newlines(piece);
      await file.writeFile(piece);
    }
    await file.close();
    await rename(partial, path);
    return count;
  } catch (error) {
    await file.close();
    await rm(partial, { force: true });
    throw error;
  }
}

function newlines(piece: Buffer): number {
  let count = 0;
  for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
