/** `millrace run`: the whole of Millrace for one job. */
import { resolve } from "node:path";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { countOf } from "../amounts.ts";
import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import { Client } from "../client.ts";
import type { CommonOptions } from "../common-options.ts";
import { connect, rootOf } from "../connection.ts";
import { withElapsed } from "../elapsed.ts";
import { exitCodeOfJob, tellEnd } from "../job-end.ts";
import { deployProject, readProject, type Project } from "../project.ts";
import { previewResults, writeResults } from "../result-rows.ts";
import { findService } from "../service-file.ts";
import { startServing } from "../serving.ts";
import { unfinishedFolders } from "../unfinished.ts";
import { submissionOf, type JobOptions, type SubmissionBody } from "../submission.ts";
import { displayFor, silentDisplay, watchToEnd } from "../watching.ts";
import { submitJob } from "./submit.ts";

export interface RunOptions extends CommonOptions, JobOptions {
  readonly api?: string;
  readonly results?: string;
}

const RUN_LANES = 2;

/** A service that this run may use: the one of the root, or one in this process. */
interface Helper {
  readonly client: Client;
  /** True: it ends with this process. */
  readonly own: boolean;
  readonly fatal: Promise<unknown>;
  stop(): Promise<void>;
}

export async function run(cli: Cli, folder: string, inputs: readonly string[], options: RunOptions): Promise<number> {
  const project = await readProject(cli, folder, options.api);
  const submission = await submissionOf(cli, inputs, options);
  const say = (sentence: string) => {
    cli.err.write(`${sentence}\n`);
  };
  if (submission.inputs.guess !== undefined) say(submission.inputs.guess);
  const interrupted = cli.interrupts.take();
  const helper = await helperFor(cli, options, submission.inputs.folders, say);
  try {
    const ended = helper.fatal.then((error) => {
      throw new CliError(`the service cannot go on: ${String(error)}`, CLI_EXIT.failed, error);
    });
    return await Promise.race([ended, runOn(cli, helper, { project, submission, options, interrupted })]);
  } finally {
    await helper.stop();
  }
}

interface Wanted {
  readonly project: Project;
  readonly submission: SubmissionBody;
  readonly options: RunOptions;
  readonly interrupted: AbortSignal;
}

async function runOn(cli: Cli, helper: Helper, { project, submission, options, interrupted }: Wanted): Promise<number> {
  const { client } = helper;
  const deployed = await withElapsed(cli, cli.err, (say) => deployProject(client, project, say), interrupted);
  if (deployed === undefined) {
    cli.err.write("interrupted before the job was submitted\n");
    return CLI_EXIT.detached;
  }
  const job = await submitJob(cli, client, project.name, submission.body);
  cli.err.write(`job ${job.job_id} of ${job.api}\n`);
  const json = options.output === "json";
  const display = json ? silentDisplay : displayFor(cli);
  const final = await watchToEnd(cli, client, job, interrupted, display);
  if (final === undefined) return detached(cli, helper, job);
  await tellEnd(cli, client, final);
  await hand(cli, client, final, options);
  if (json) cli.out.write(`${JSON.stringify(final, undefined, 2)}\n`);
  return exitCodeOfJob(final);
}

function detached(cli: Cli, helper: Helper, job: Job): number {
  const back = `millrace watch ${job.job_id}`;
  cli.err.write(
    helper.own
      ? `draining: workers finish or hand back what they hold (Ctrl-C again: stop at once). ` +
          `\`millrace serve\` goes on with the job, \`${back}\` shows it\n`
      : `detached; the job goes on. To come back: ${back}\n`,
  );
  return CLI_EXIT.detached;
}

/** Results go where the user said; else to stdout when that is no terminal; else the first ones are shown. */
async function hand(cli: Cli, client: Client, job: Job, options: RunOptions): Promise<void> {
  const json = options.output === "json";
  if (options.results !== undefined && options.results !== "-") {
    const path = resolve(cli.folder, options.results);
    const rows = await writeResults(cli, client, job, path);
    cli.err.write(`${countOf(rows, "result")} in ${options.results}\n`);
  } else if (options.results === "-" || (!json && !cli.out.isTerminal)) await writeResults(cli, client, job, "-");
  else if (!json) await previewResults(cli, client, job);
}

async function helperFor(
  cli: Cli,
  options: RunOptions,
  folders: readonly string[],
  say: (s: string) => void,
): Promise<Helper> {
  const root = rootOf(cli, options);
  const never = new Promise<never>(() => undefined);
  if (options.address !== undefined || (await findService(root)).kind !== "none") {
    const { client } = await connect(cli, { ...options, root }); // what it runs, it runs here
    say(`using the service that runs ${options.address === undefined ? `on ${root}` : `at ${options.address}`}`);
    return { client, own: false, fatal: never, stop: () => Promise.resolve() };
  }
  const fatal = Promise.withResolvers<unknown>();
  // A job that an earlier run left goes on as well, and its folders must be open to it.
  const allow = [...new Set([...folders, ...(await unfinishedFolders(cli, root))])];
  const serving = await startServing(cli, {
    root,
    host: "127.0.0.1",
    port: 0,
    allow,
    lanes: RUN_LANES,
    onFatal: fatal.resolve,
  });
  const { address } = serving.service;
  return {
    client: new Client(() => Promise.resolve(address)),
    own: true,
    fatal: fatal.promise,
    stop: () => serving.stop(),
  };
}
