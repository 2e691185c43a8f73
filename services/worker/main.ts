/** A worker process. Reads its environment, builds its backends, hears signals, exits by the table of exit codes. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { inspect } from "node:util";
import { realClock, realRandom } from "../backends/clock.real.ts";
import { ENV, Misconfigured } from "../protocol/environment.ts";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";
import { openBackends, type WorkerBackends } from "./backends.ts";
import { readConfig, type WorkerConfig } from "./config.ts";
import type { StartHandler } from "./context.ts";
import { HandlerStartFailed } from "./handlers/handler.ts";
import { startPythonHandler, type PythonHandler } from "./handlers/handler.python.ts";
import { handlerInit, loadJob, type JobFiles } from "./job-files.ts";
import { LogLines } from "./log-lines.ts";
import { Worker } from "./worker.ts";

enableCompileCache();

/** Tries for a handler whose process a signal ends while it starts: a fault of its own comes again, a blow does not. */
const STARTS_MAX = 3;
const HOST_PATH = join(import.meta.dirname, "python", "millrace_host", "__main__.py");

async function main(): Promise<number> {
  if (process.env[ENV.buildEnvironment] !== undefined) {
    return (await import("./build-environment.ts")).buildEnvironment(process.env);
  }
  const config = readConfig(process.env, () => realRandom.hex(4));
  const { identity } = config;
  const backends = await openBackends(config, process.env);
  const lines = new LogLines(backends.logs, realClock, identity.job, identity.name);
  const files = await loadJob(backends, config, process.env[ENV.python] ?? "python3");
  const handlers = new HandlerProcesses(config, files, lines, backends);
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
    startHandler: handlers.start,
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
  process.on("SIGTERM", () => {
    worker.leave({ kind: "drain" });
  });
  process.on("SIGINT", () => undefined); // Ctrl-C on a terminal is for the service, which tells its workers
  void abandoned.then(() => {
    worker.leave({ kind: "lost" });
  });
}

/** The handler children of this worker, on file so that whoever survives it can end them. */
class HandlerProcesses {
  readonly #config: WorkerConfig;
  readonly #files: JobFiles;
  readonly #lines: LogLines;
  readonly #backends: WorkerBackends;
  readonly #living = new Set<PythonHandler>();

  constructor(config: WorkerConfig, files: JobFiles, lines: LogLines, backends: WorkerBackends) {
    this.#config = config;
    this.#files = files;
    this.#lines = lines;
    this.#backends = backends;
  }

  readonly start: StartHandler = async (processIndex) => {
    for (let left = STARTS_MAX - 1; ; left -= 1) {
      try {
        return await this.#startOnce(processIndex);
      } catch (error) {
        if (!(error instanceof HandlerStartFailed) || !error.killed || left === 0) throw error;
      }
    }
  };

  async #startOnce(processIndex: number): ReturnType<StartHandler> {
    const { spec, version, python } = this.#files;
    const { batch_size: batchSize } = spec.input;
    const handler = startPythonHandler({
      python,
      hostPath: HOST_PATH,
      // the mark by which whoever survives us finds what a handler forked into a group of its own
      env: { ...handlerEnvironment(version.spec.env), [ENV.incarnation]: this.#config.incarnation },
      processIndex,
      output: ({ first, text }) => {
        this.#lines.add("handler", text, first === undefined ? undefined : Math.floor(first / batchSize));
      },
      clock: realClock,
      random: realRandom,
    });
    this.#living.add(handler);
    this.#writeFile();
    void handler.ended.then(() => {
      this.#living.delete(handler);
      this.#writeFile();
    });
    const ready = await handler.start(handlerInit(this.#files));
    return { handler, ready };
  }

  #writeFile(): void {
    this.#backends.noteHandlers([...this.#living].flatMap(({ pid }) => pid ?? []));
  }
}

/** The handler inherits what a program needs to run here, and the API's own variables; not ours. */
function handlerEnvironment(own: Readonly<Record<string, string>>): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !name.startsWith("MILLRACE_") && !name.startsWith("NODE_")) inherited[name] = value;
  }
  return { ...inherited, ...own };
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
