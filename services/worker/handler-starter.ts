/** How a worker starts its handlers: Python children of its own, or sessions with the user's containers beside it. */
import { join } from "node:path";
import type { Environment } from "../backends/cloud-config.ts";
import { realClock, realRandom } from "../backends/clock.real.ts";
import type { ContainerHandlerSpec } from "../protocol/api-spec.ts";
import { ENV } from "../protocol/environment.ts";
import type { WorkerBackends } from "./backends.ts";
import type { WorkerConfig } from "./config.ts";
import type { StartHandler } from "./context.ts";
import { HandlerStartFailed } from "./handlers/handler.ts";
import { startPythonHandler, type PythonHandler } from "./handlers/handler.python.ts";
import { inheritedEnvironment } from "./inherited-environment.ts";
import { handlerInit, type JobFiles } from "./job-files.ts";
import type { LogLines } from "./log-lines.ts";

export interface StarterDeps {
  readonly config: WorkerConfig;
  readonly files: JobFiles;
  readonly lines: LogLines;
  readonly backends: WorkerBackends;
  /** The worker's own, of which handlers inherit what is not ours. */
  readonly environment: Environment;
}

/** Tries for a handler whose process a signal ends while it starts: a fault of its own comes again, a blow does not. */
const STARTS_MAX = 3;
const HOST_PATH = join(import.meta.dirname, "python", "millrace_host", "__main__.py");

export async function handlerStarter(deps: StarterDeps): Promise<StartHandler> {
  const { handler } = deps.files.version.spec;
  return handler.kind === "container" ? containerStarter(deps, handler) : new PythonHandlers(deps).start;
}

async function containerStarter({ files, lines }: StarterDeps, handler: ContainerHandlerSpec): Promise<StartHandler> {
  const { ContainerGate } = await import("./handlers/container-gate.ts");
  const { startContainerHandler } = await import("./handlers/handler.container.ts");
  const gate = new ContainerGate({ handler, clock: realClock });
  const { spec, version } = files;
  return async () => {
    const session = startContainerHandler({
      ...{ gate, clock: realClock, port: handler.port, job: spec.job, output: outputTo(lines, files) },
      cortexProject: version.spec.cortex_project,
    });
    return { handler: session, ready: await session.start() };
  };
}

/** Handlers say which item a line belongs to; people look for its batch. */
function outputTo(lines: LogLines, { spec }: JobFiles) {
  return ({ first, text }: { readonly first: number | undefined; readonly text: string }) => {
    lines.add("handler", text, first === undefined ? undefined : Math.floor(first / spec.input.batch_size));
  };
}

/** The handler children of this worker, on file so that whoever survives it can end them. */
class PythonHandlers {
  readonly #config: WorkerConfig;
  readonly #files: JobFiles;
  readonly #lines: LogLines;
  readonly #backends: WorkerBackends;
  readonly #environment: Environment;
  readonly #living = new Set<PythonHandler>();

  constructor({ config, files, lines, backends, environment }: StarterDeps) {
    this.#config = config;
    this.#files = files;
    this.#lines = lines;
    this.#backends = backends;
    this.#environment = environment;
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
    const { version, python } = this.#files;
    const handler = startPythonHandler({
      python,
      hostPath: HOST_PATH,
      // the mark by which whoever survives us finds what a handler forked into a group of its own
      env: {
        ...inheritedEnvironment(this.#environment),
        ...version.spec.env,
        [ENV.incarnation]: this.#config.incarnation,
      },
      processIndex,
      output: outputTo(this.#lines, this.#files),
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
