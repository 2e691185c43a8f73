/** The commands of `millrace` and their options. */
import { Command, InvalidArgumentError, Option } from "commander";
import { LIMITS } from "../services/protocol/limits.ts";
import { RETENTION_DAYS_MAX } from "../services/protocol/retention.ts";
import type { Cli } from "./cli.ts";
import { INPUT_KINDS } from "./inputs.ts";

export const DEFAULT_PORT = 8080;

type Handler = (cli: Cli, ...given: never[]) => Promise<number>;

/** A command's code is loaded when it is called: `--help` and `get` need no service. */
type Load = () => Promise<Handler>;

const CONNECT_HELP = `
It saves a context with its address and makes it current, so that the other commands go there; with Ctrl-C
the context goes, and what was current before is so again. It moves to another pod when its pod goes away.`;

const CONTEXT_HELP = `
Where a command goes, the first that there is of:
  --address URL      what it is told itself; or --root DIR, a service of this machine
  MILLRACE_ADDRESS   what the shell is told
  current context    what \`millrace connect\` or \`millrace context use\` chose, until it ends or another is chosen
  the root           the service of this machine; \`millrace context leave\` goes back to it
  `.trimEnd();

const RETRY_HELP = `
What no option says is as the job had it. The items are not copied: the new job points at where they lie, and
an item whose data has changed since fails by that. \`millrace results JOB --family\` reads both jobs as one.`;

/** Builds the program; `end` is told the exit code of the command that ran. */
export function buildProgram(cli: Cli, end: (code: number) => void): Command {
  const program = new Command("millrace")
    .description("Your own Batch API: jobs over large inputs, exact counts, nothing lost")
    .version(cli.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [COMMAND]", "print help of a command")
    .showHelpAfterError("(millrace --help lists the commands)");
  const add = (text: string, description: string, load: Load): Command => {
    const command = program.command(text).description(description);
    const names = command.registeredArguments.length;
    return command.action(async (...given: unknown[]) => {
      const handler = (await load()) as (cli: Cli, ...given: unknown[]) => Promise<number>;
      end(await handler(cli, ...given.slice(0, names + 1)));
    });
  };
  addServing(add);
  addSubmitting(add);
  addReading(add);
  addAddressing(add);
  for (const command of program.commands) common(command);
  return program;
}

type Add = (text: string, description: string, load: Load) => Command;

function addServing(add: Add): void {
  const run = add(
    "run <PROJECT> <INPUT...>",
    "run one job here: serve, deploy, submit, watch, hand out the results",
    () => import("./commands/run.ts").then((module) => module.run),
  );
  jobOptions(run)
    .option("--api <NAME>", "which API of a cortex.yaml with several")
    .option("--results <FILE>", "write results to FILE (- is stdout, the default when that is no terminal)");
  add("serve", "start the service; Ctrl-C drains and ends it", () =>
    import("./commands/serve.ts").then((module) => module.serve),
  )
    .option("--host <HOST>", "address to listen on, of this machine", "127.0.0.1")
    .option("--port <PORT>", "port to listen on; 0: any that is free", wholeNumber(0, 65_535), DEFAULT_PORT)
    .option("--allow <DIR>", "folder that jobs may read, again for more (default: the working folder)", collected)
    .option("--lanes <N>", "jobs of one API that run at once", wholeNumber(1, 64), 2)
    .option("--keep-results <DAYS>", "remove results so long after a job's end (default: never)", days)
    .option("--keep-records <DAYS>", "remove the job itself (default: never)", days)
    .option("--keep-logs <DAYS>", "remove what its workers said (default: with the job)", days);
  add("api-key <NAME>", "make a key for a service's doors; prints it once, and the line that lets it in", () =>
    import("./commands/api-key.ts").then((module) => module.apiKey),
  ).option("--scopes <LIST>", "what it allows, separated by commas: read, submit, admin", "submit");
  add("doctor", "check this machine and this configuration", () =>
    import("./commands/doctor.ts").then((module) => module.doctor),
  ).option("--port <PORT>", "port to try", wholeNumber(0, 65_535), DEFAULT_PORT);
}

function addSubmitting(add: Add): void {
  add("deploy <PROJECT>", "take a project's code for new jobs", () =>
    import("./commands/deploy.ts").then((module) => module.deploy),
  ).option("--api <NAME>", "which API of a cortex.yaml with several");
  const submit = add("submit <API> [INPUT...]", "submit a job; prints its id", () =>
    import("./commands/submit.ts").then((module) => module.submit),
  );
  jobOptions(submit)
    .option("--body <FILE>", "send this JSON as it is (- is stdin) in place of INPUT and options")
    .option("--dry-run", "only check it, and list what would be read")
    .option("--idempotency-key <KEY>", "the same key and body give the same job")
    .option("--watch", "stay with the job until its end");
  const retry = add("retry <JOB...>", "run the failed items of an ended job again, as a new job: [API] JOB", () =>
    import("./commands/retry.ts").then((module) => module.retry),
  );
  retry
    .option("--skipped", "also the items that no attempt settled, because the job was ended early")
    .option("--same-version", "on the version that the job ran (default: the newest one)");
  changeOptions(retry)
    .option("--idempotency-key <KEY>", "the same key and options give the same job")
    .option("--watch", "stay with the new job until its end")
    .addHelpText("after", RETRY_HELP);
  add("stop <JOB...>", "stop a job: [API] JOB; what has succeeded stays", () =>
    import("./commands/stop.ts").then((module) => module.stop),
  );
}

function addReading(add: Add): void {
  add("get [NAMES...]", "show a job ([API] JOB), an API (API), or all APIs", () =>
    import("./commands/get.ts").then((module) => module.get),
  );
  add("list [API]", "list APIs, or the jobs of one", () => import("./commands/get.ts").then((module) => module.list))
    .option("--state <STATE>", "only jobs of this state")
    .option("--limit <N>", "at most so many jobs", wholeNumber(1, LIMITS.jobsPageMax))
    .option("--cursor <JOB>", "those behind this job");
  add("watch <JOB...>", "follow a job to its end: [API] JOB, or API for its newest", () =>
    import("./commands/watch.ts").then((module) => module.watch),
  );
  add("logs <JOB...>", "print what workers and handlers said: [API] JOB, or API for its newest", () =>
    import("./commands/logs.ts").then((module) => module.logs),
  )
    .option("-f, --follow", "go on until the job has ended")
    .option("--worker <NAME>", "only this worker");
  add("results <JOB...>", "print results as JSON lines: [API] JOB, or API for its newest", () =>
    import("./commands/results.ts").then((module) => module.results),
  )
    .option("--failed", "the failed items in place of the results")
    .option("--family", "of the job, what it retries and its retries as one: each item once, its newest success")
    .option("-f, --follow", "go on until the job has ended")
    .option("-o, --file <FILE>", "write to FILE in place of stdout");
  add("verify [NAMES...]", "check the promises on a job's objects: [API] JOB, or API for its newest", () =>
    import("./commands/verify.ts").then((module) => module.verify),
  )
    .option("--all", "check every job, or those of one API")
    .option("--store <S3_URI>", "jobs of a cluster: s3://BUCKET, read with this machine's credentials and region");
}

function addAddressing(add: Add): void {
  const connect = add("connect <API>", "reach an API in a cluster: forward a port to it until Ctrl-C", () =>
    import("./commands/connect.ts").then((module) => module.connect),
  );
  connect
    .option("--namespace <NAME>", "the API's namespace (default: batch-API)")
    .option("--kubeconfig <FILE>", "kubeconfig to use (default: $KUBECONFIG, else ~/.kube/config)")
    .option("--context <NAME>", "context of the kubeconfig (default: its current one)")
    .option("--port <PORT>", "port on this machine's loopback; 0: any that is free", wholeNumber(0, 65_535), 0)
    .option("--name <NAME>", "name of the context that it saves (default: the API's)")
    .option("--api-key-file <FILE>", "file with the API key to show")
    .addHelpText("after", CONNECT_HELP);
  const context = add("context [ACTION] [NAME]", "which service commands go to: list, use, leave, add, remove", () =>
    import("./commands/context.ts").then((module) => module.context),
  );
  context
    .option("--address <URL>", "add: address of the service, as a balancer has it")
    .option("--api-key-file <FILE>", "add: file with the API key to show; it is read at each use")
    .addHelpText("after", CONTEXT_HELP);
}

function jobOptions(command: Command): Command {
  command.addOption(new Option("--as <KIND>", "what an INPUT is (guessed when not said)").choices(INPUT_KINDS));
  return changeOptions(command)
    .option("--include <GLOB>", "only files that match, again for more", collected)
    .option("--exclude <GLOB>", "no files that match, again for more", collected);
}

/** What a job is told beside its input. */
function changeOptions(command: Command): Command {
  return command
    .option("--workers <N>", "how many workers", wholeNumber(1, LIMITS.workersMax))
    .option("--batch-size <N>", "items in a batch", wholeNumber(1, LIMITS.batchSizeMax))
    .option("--config <JSON>", "merged over the API's config; @FILE reads a file")
    .option("--timeout <SECONDS>", "end the job after so long", seconds)
    .option("--attempts <N>", "how often a batch is tried", wholeNumber(1, LIMITS.attemptsMax))
    .option("--batch-timeout <SECONDS>", "end an attempt after so long", seconds)
    .option("--priority <N>", "higher starts sooner", wholeNumber(LIMITS.priorityMin, LIMITS.priorityMax))
    .option("--label <NAME=VALUE>", "a label, again for more", collected);
}

function common(command: Command): void {
  command
    .addOption(new Option("--output <FORMAT>", "json: for programs, on stdout").choices(["json"]))
    .showHelpAfterError(`(millrace ${command.name()} --help says more)`);
  if (["api-key", "connect", "context"].includes(command.name())) return;
  command.option("--root <DIR>", "folder of all state (default: $MILLRACE_ROOT, else ~/.millrace)");
  if (["serve", "doctor", "verify"].includes(command.name())) return;
  const fallback = command.name() === "run" ? "this machine" : "$MILLRACE_ADDRESS, the current context, the root";
  command.option("--address <URL>", `address of a service (default, the first there is: ${fallback})`);
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${String(min)} to ${String(max)}.`);
  };
}

function days(text: string): number {
  return wholeNumber(1, RETENTION_DAYS_MAX)(text);
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("Give seconds, more than 0.");
}

function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
