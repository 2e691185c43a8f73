/** A worker process. Reads its environment, builds its backends, hears signals, exits by the table of exit codes. */
import { enableCompileCache } from "node:module";
import { inspect } from "node:util";
import { realClock, realRandom } from "../backends/clock.real.ts";
import { ENV, JOB_FILE, Misconfigured } from "../protocol/environment.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";
import { UnreadableObject } from "../protocol/stored.ts";
import type { WorkerBackends } from "./backends.ts";
import { readConfig } from "./config.ts";
import { handlerStarter } from "./handler-starter.ts";
import { loadJob } from "./job-files.ts";
import { LogLines } from "./log-lines.ts";
import { openBackends } from "./open-backends.ts";
import { tellUnstarted } from "./unstarted.ts";
import { Worker } from "./worker.ts";

enableCompileCache();

/** Nothing is held before there is a worker: unpacking an environment takes minutes, and a pod's grace may not. */
function leaveAtOnce(): void {
  process.exit(WORKER_EXIT.drained);
}

async function main(): Promise<number> {
  process.on("SIGTERM", leaveAtOnce);
  if (process.env[ENV.buildEnvironment] !== undefined) {
    return (await import("./build-environment.ts")).buildEnvironment(process.env);
  }
  const config = readConfig(process.env, () => realRandom.hex(4));
  const { identity } = config;
  const backends = await openBackends(config, process.env);
  const lines = new LogLines(backends.logs, realClock, identity.job, identity.name);
  const files = await loadJob(backends, config, process.env[ENV.python] ?? "python3").catch(async (error: unknown) => {
    if (error instanceof UnreadableObject) await tellUnstarted(backends.store, identity, error.message);
    throw error;
  });
  if (process.argv[2] === JOB_FILE.task) {
    await (await import("./job-file.ts")).writeJobFile(JOB_FILE.folder, files);
    return WORKER_EXIT.done;
  }
  const worker = new Worker({
    identity,
    spec: files.spec,
    processes: files.version.spec.handler.processes,
    store: backends.store,
    queue: backends.queue,
    dataset: backends.dataset,
    clock: realClock,
    random: realRandom,
    pace: backends.pace,
    memory: backends.memory,
    startHandler: await handlerStarter({ config, files, lines, backends, environment: process.env }),
    say: (text, batch) => {
      lines.add("worker", text, batch);
    },
  });
  hear(worker, backends);
  const code = await worker.run();
  await lines.flush();
  await backends.close();
  return code;
}

/** SIGTERM drains; a service that is gone ends the worker, because nobody would end it later. */
function hear(worker: Worker, { abandoned }: WorkerBackends): void {
  process.off("SIGTERM", leaveAtOnce);
  process.on("SIGTERM", () => {
    worker.leave({ kind: "drain" });
  });
  process.on("SIGINT", () => undefined); // Ctrl-C on a terminal is for the service, which tells its workers
  void abandoned.then(() => {
    worker.leave({ kind: "lost" });
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  const name = error instanceof Error ? error.name : "";
  process.stderr.write(`${error instanceof Misconfigured ? error.message : inspect(error)}\n`);
  const codes: Readonly<Record<string, number>> = {
    Misconfigured: WORKER_EXIT.misconfigured,
    AppendConflict: WORKER_EXIT.fenced,
    StoreBroken: WORKER_EXIT.storeBroken,
  };
  process.exitCode = codes[name] ?? WORKER_EXIT.crashed;
}
process.exit();
