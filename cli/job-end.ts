/** How a job ended, in words and as an exit code. */
import type { ErrorRow } from "../services/protocol/jobs.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import { counted, countOf, duration, rate } from "./amounts.ts";
import { stateWords, type Job } from "./bar.ts";
import type { Cli } from "./cli.ts";
import type { Client } from "./client.ts";
import { pathOfJob } from "./job-address.ts";
import { paintFor } from "./paint.ts";

const ERRORS_SHOWN = 3;
const ERROR_CHARACTERS_MAX = 200;

/** 0 only when every item succeeded. */
export function exitCodeOfJob(job: Job): number {
  if (job.state === "succeeded") return CLI_EXIT.ok;
  return job.state === "completed_with_failures" ? CLI_EXIT.itemsFailed : CLI_EXIT.jobFailed;
}

/** Says it on stderr; of failed items the first ones. */
export async function tellEnd(cli: Cli, client: Client, job: Job): Promise<void> {
  const paint = paintFor(cli.err, cli.environment);
  const say = (line: string) => {
    cli.err.write(`${line}\n`);
  };
  const { items, batches } = job;
  say(
    `${stateWords(job.state, paint)}: ${counted(items.succeeded)} of ${countOf(items.total, "item")} succeeded, ` +
      `${counted(items.failed)} failed; ${countOf(batches.total, "batch", "batches")}${tookWords(job)}`,
  );
  if (job.message !== "" && job.state !== "succeeded") say(job.message);
  if (items.failed === 0) return;
  for (const line of await firstErrors(client, job)) say(line);
  say(
    `\`millrace results ${job.job_id} --failed\` has all that is known; \`millrace retry ${job.job_id}\` runs them again`,
  );
}

/** Seconds from its start to its end; null before. */
export function secondsOf(job: Pick<Job, "submitted_at" | "started_at" | "ended_at">): number | null {
  if (job.ended_at === null) return null;
  return (Date.parse(job.ended_at) - Date.parse(job.started_at ?? job.submitted_at)) / 1000;
}

function tookWords(job: Job): string {
  const seconds = secondsOf(job);
  if (seconds === null) return "";
  const settled = job.items.succeeded + job.items.failed;
  return ` in ${duration(seconds)}${seconds > 0 && settled > 0 ? ` (${rate(settled / seconds)})` : ""}`;
}

async function firstErrors(client: Client, job: Job): Promise<readonly string[]> {
  const lines: string[] = [];
  const enough = new AbortController();
  for await (const line of client.lines(`${pathOfJob(job)}/errors`, { signal: enough.signal })) {
    const { index, batch, attempts, error } = JSON.parse(line) as ErrorRow;
    const where = `  item ${counted(index)} (batch ${counted(batch)}, ${countOf(attempts, "attempt")})`;
    lines.push(`${where}: ${error.replaceAll("\n", " ").slice(0, ERROR_CHARACTERS_MAX)}`);
    if (lines.length === ERRORS_SHOWN) break;
  }
  enough.abort();
  const more = job.items.failed - lines.length;
  if (more > 0) lines.push(`  and ${counted(more)} more`);
  return lines;
}
