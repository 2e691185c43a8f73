/** `npm run demo`, step by step. */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { openFileStore } from "../../services/backends/object-store.files.ts";
import { readProcessFile } from "../../services/backends/process-files.ts";
import { isAlive } from "../../services/backends/process-identity.ts";
import { CLI_EXIT } from "../../services/protocol/exit-codes.ts";
import { countOf } from "../amounts.ts";
import type { Job } from "../bar.ts";
import { CliError } from "../cli-error.ts";
import type { Cli } from "../cli.ts";
import { Client } from "../client.ts";
import { submitJob } from "../commands/submit.ts";
import { withElapsed } from "../elapsed.ts";
import { exitCodeOfJob, tellEnd } from "../job-end.ts";
import { paintFor } from "../paint.ts";
import { deployProject, readProject } from "../project.ts";
import { findService } from "../service-file.ts";
import { startServing } from "../serving.ts";
import { displayFor, watchToEnd, type JobDisplay } from "../watching.ts";
import { demoFiles } from "./demo-files.ts";
import { killedWords, shown, tellKilled, tellNext, tellResults, type Stage } from "./demo-telling.ts";
import { killOne, workersOnFile, type Killed } from "./killed-worker.ts";

const WORKERS = 2;
/** Small, so that the kill comes in the middle of many. */
const BATCH_SIZE = 32;
/** What is slow to make stays from one demo to the next. */
const KEPT = ["environments", "cache"];

/** Runs the demo in a clone of the repository. `given`: a folder whose files are classified in place of node_modules'. */
export async function demo(cli: Cli, repository: string, given: string | undefined): Promise<number> {
  const files = await demoFiles(repository, given, cli.folder);
  const root = join(repository, ".millrace", "demo");
  await emptyRoot(root);
  const interrupted = cli.interrupts.take();
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => undefined); // it is raced below
  const serving = await startServing(cli, {
    ...{ root, host: "127.0.0.1", port: 0, lanes: 1 },
    allow: files.paths,
    onFatal: fatal.reject,
  });
  const { address } = serving.service;
  const store = await openFileStore({ root: join(root, "store") });
  const stage: Stage = {
    ...{ cli, root, store },
    client: new Client(() => Promise.resolve(address)),
    paint: paintFor(cli.out, cli.environment),
    say: (line = "") => {
      cli.out.write(`${line}\n`);
    },
    seen: new Map(),
  };
  let code: number;
  try {
    stage.say(`Millrace ${cli.version} serves at ${address}; its state is in ${shown(stage, root)}`);
    code = await Promise.race([play(stage, repository, files, interrupted), fatal.promise]);
  } finally {
    await serving.stop();
    await store.close();
  }
  return tellLeftovers(stage) ? code : CLI_EXIT.failed;
}

async function play(
  stage: Stage,
  repository: string,
  { paths, what }: { readonly paths: readonly string[]; readonly what: string },
  interrupted: AbortSignal,
): Promise<number> {
  const { cli, client, say } = stage;
  const project = await readProject(cli, join(repository, "examples", "file-types"), undefined);
  const deployed = await withElapsed(cli, cli.out, (tell) => deployProject(client, project, tell), interrupted);
  if (deployed === undefined) return CLI_EXIT.detached;
  say(`Deployed ${shown(stage, join(repository, "examples", "file-types"))}: a model that names what is in a file`);
  const body = { workers: WORKERS, file_path_lister: { paths, batch_size: BATCH_SIZE } };
  const job = await submitJob(cli, client, project.name, Buffer.from(JSON.stringify(body)));
  say(`Job ${job.job_id}: ${what}, on ${countOf(WORKERS, "worker")}`);
  const { final, killed } = await watched(stage, job, interrupted);
  if (final === undefined) {
    say("Interrupted: draining");
    return CLI_EXIT.detached;
  }
  await tellEnd({ ...cli, err: cli.out }, client, final);
  if (killed !== undefined) await tellKilled(stage, final, killed);
  const sound = await tellResults(stage, final);
  tellNext(stage, final);
  return sound ? exitCodeOfJob(final) : CLI_EXIT.failed;
}

/** Watches the job, and kills a worker when half is done. */
async function watched(stage: Stage, job: Job, interrupted: AbortSignal) {
  const { cli, client, root, store } = stage;
  const ended = new AbortController();
  const display = displayFor({ ...cli, err: cli.out });
  let killing: Promise<Killed | undefined> | undefined;
  const show: JobDisplay = {
    ...display,
    show: (now) => {
      display.show(now);
      void seeWorkers(stage);
      const { total, succeeded, failed } = now.items;
      if (killing !== undefined || !now.batches.complete || (succeeded + failed) * 2 < total || now.state !== "running")
        return;
      killing = killOne(root, store, job, cli.clock, ended.signal);
      void killing.then((killed) => {
        for (const line of killed === undefined ? [] : killedWords(killed)) display.say(line);
      });
    },
  };
  const final = await watchToEnd(cli, client, job, interrupted, show);
  ended.abort();
  await seeWorkers(stage);
  return { final, killed: await killing };
}

async function seeWorkers({ root, seen }: Stage): Promise<void> {
  for (const worker of await workersOnFile(root)) {
    const found = readProcessFile(root, worker);
    if (found !== undefined) seen.set(worker, found.worker);
    for (const handler of found?.handlers ?? []) seen.set(`${worker} handler ${String(handler.pid)}`, handler);
  }
}

/** True when every process of the demo has ended. */
function tellLeftovers({ seen, say }: Stage): boolean {
  const left = [...seen].filter(([, identity]) => isAlive(identity)).map(([name]) => name);
  say();
  if (left.length === 0)
    say(`The service has ended; of its ${countOf(seen.size, "process", "processes")} none is left`);
  else say(`Still running: ${left.join(", ")}`);
  return left.length === 0;
}

async function emptyRoot(root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  if ((await findService(root)).kind !== "none")
    throw new CliError(`a demo is running already, on ${root}; wait for its end`);
  for (const name of await readdir(root)) {
    if (!KEPT.includes(name)) await rm(join(root, name), { recursive: true, force: true });
  }
}
