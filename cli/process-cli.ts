/** The real process as a command sees it. */
import { appendFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { WriteStream } from "node:tty";
import { buffer } from "node:stream/consumers";
import { realClock, realRandom } from "../services/backends/clock.real.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";
import type { Cli, Interrupts, Sink } from "./cli.ts";
import { rootOf } from "./connection.ts";

/** What of `process` it needs; `main.ts` gives it. */
export interface ProcessParts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly exit: (code: number) => never;
  readonly version: string;
}

export function processCli({ environment, exit, version }: ProcessParts): Cli {
  return {
    environment,
    folder: process.cwd(),
    home: homedir(),
    out: sinkOf(process.stdout, exit),
    err: sinkOf(process.stderr, exit),
    clock: realClock,
    random: realRandom,
    interrupts: interruptsOf(exit),
    input: () => buffer(process.stdin),
    version,
    pid: process.pid,
  };
}

function sinkOf(stream: WriteStream, exit: (code: number) => never): Sink {
  let taken = Promise.resolve();
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // The reader (`head`, a pager) has what it wanted.
    if (error.code === "EPIPE") exit(CLI_EXIT.ok);
    throw error;
  });
  return {
    isTerminal: stream.isTTY, // undefined, whatever its type says, for a pipe
    columns: () => stream.columns || 80,
    // A pipe that is full keeps what is written in this process, even when `write` answers true: an exit would lose it.
    write: (text) => {
      taken = new Promise((resolve) => {
        stream.write(text, () => {
          resolve();
        });
      });
    },
    flushed: () => taken,
  };
}

function interruptsOf(exit: (code: number) => never): Interrupts {
  const first = new AbortController();
  let taken = false;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!taken || first.signal.aborted) exit(CLI_EXIT.detached);
      first.abort(new Error(name));
    });
  }
  return {
    take: () => {
      taken = true;
      return first.signal;
    },
  };
}

/** One line on stderr for what nobody expected, and where the rest of it is. */
export function tellCrash(cli: Cli, error: unknown): void {
  const words = error instanceof Error ? error.message : String(error);
  const details = `${new Date(cli.clock.wallMs()).toISOString()} ${error instanceof Error ? (error.stack ?? words) : words}\n`;
  for (const folder of [rootOf(cli, {}), tmpdir()]) {
    const path = join(folder, "millrace-crash.log");
    try {
      appendFileSync(path, details);
      cli.err.write(`millrace: something unexpected happened: ${words.split("\n")[0] ?? ""}; details are in ${path}\n`);
      return;
    } catch {
      continue; // the next folder may be writable
    }
  }
  cli.err.write(`millrace: something unexpected happened: ${details}`);
}
