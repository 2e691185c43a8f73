/** Shows a job until it ends, or until Ctrl-C. */
import { isFinal } from "../services/protocol/states.ts";
import { barLines, plainLine, type Job } from "./bar.ts";
import type { Cli } from "./cli.ts";
import type { Client } from "./client.ts";
import { followJob, type Sighting } from "./follow-job.ts";
import { pathOfJob } from "./job-address.ts";
import { LiveLines } from "./live-lines.ts";
import { paintFor } from "./paint.ts";

/** How a job's course is shown. */
export interface JobDisplay {
  show(job: Job): void;
  /** A sentence between. */
  say(sentence: string): void;
  /** Takes what is alive off the screen. */
  end(): void;
}

/** Without a terminal: a line when something but figures changed, and now and then. */
const PLAIN_MS = 5_000;

const LOST = "the service went away; waiting for it to come back (Ctrl-C leaves the job to it)";
const BACK = "the service is back";

/** Answers the final job, or undefined when the signal aborted first. Throws `CliError`. */
export async function watchToEnd(
  cli: Cli,
  client: Client,
  job: Pick<Job, "api" | "job_id">,
  signal: AbortSignal,
  display: JobDisplay,
): Promise<Job | undefined> {
  let warned: readonly string[] | undefined; // those of the first sighting were told at the submission
  try {
    for await (const sighting of followJob(client, pathOfJob(job), cli.clock, signal)) {
      if (sighting.kind === "job") warned = warn(sighting.job, warned ?? sighting.job.warnings, display);
      const final = shown(sighting, display);
      if (final !== undefined) return final;
    }
    return undefined;
  } finally {
    display.end();
  }
}

/** Says the warnings that came while it ran; answers all. */
function warn({ warnings }: Job, warned: readonly string[], display: JobDisplay): readonly string[] {
  for (const warning of warnings) if (!warned.includes(warning)) display.say(`warning: ${warning}`);
  return warnings;
}

function shown(sighting: Sighting, display: JobDisplay): Job | undefined {
  if (sighting.kind === "lost") display.say(LOST);
  if (sighting.kind === "back") display.say(BACK);
  if (sighting.kind !== "job") return undefined;
  display.show(sighting.job);
  return isFinal(sighting.job.state) ? sighting.job : undefined;
}

/** A live bar on a terminal, lines elsewhere; on stderr, because stdout is for results. */
export function displayFor(cli: Cli): JobDisplay {
  const live = cli.err.isTerminal && cli.environment["TERM"] !== "dumb";
  return live ? terminalDisplay(cli) : plainDisplay(cli);
}

export const silentDisplay: JobDisplay = { show: () => undefined, say: () => undefined, end: () => undefined };

/** One JSON line for each change, on stdout. */
export function jsonDisplay(cli: Cli): JobDisplay {
  return {
    ...silentDisplay,
    show: (job) => {
      cli.out.write(`${JSON.stringify(job)}\n`);
    },
  };
}

function terminalDisplay(cli: Cli): JobDisplay {
  const paint = paintFor(cli.err, cli.environment);
  const lines = new LiveLines(cli.err);
  return {
    show: (job) => {
      lines.draw(barLines(job, cli.err.columns(), paint));
    },
    say: (sentence) => {
      lines.say(paint("yellow", sentence));
    },
    end: () => {
      lines.clear();
    },
  };
}

function plainDisplay(cli: Cli): JobDisplay {
  let told = "";
  let toldMs = Number.NEGATIVE_INFINITY;
  const say = (line: string) => {
    cli.err.write(`${line}\n`);
  };
  return {
    show: (job) => {
      const now = cli.clock.monotonicMs();
      const kind = [job.state, job.message, job.workers.lost].join();
      if (isFinal(job.state) || (kind === told && now - toldMs < PLAIN_MS)) return;
      told = kind;
      toldMs = now;
      say(plainLine(job));
    },
    say,
    end: () => undefined,
  };
}
