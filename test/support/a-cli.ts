/** The `millrace` command called in this process: what it wrote, and how it ended. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cli, Sink } from "../../cli/cli.ts";
import { runCli } from "../../cli/run-cli.ts";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";

export interface CliEnd {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A user's home and working folder, and a command line in it. */
export class CliUser {
  readonly home: string;
  readonly root: string;

  private constructor(home: string) {
    this.home = home;
    this.root = join(home, ".millrace");
  }

  static async create(): Promise<CliUser> {
    return new CliUser(await mkdtemp(join(tmpdir(), "millrace-cli-")));
  }

  async run(
    args: readonly string[],
    options: Partial<Pick<Cli, "environment" | "input" | "interrupts">> = {},
  ): Promise<CliEnd> {
    const out = aSink();
    const err = aSink();
    const code = await runCli(this.cli({ ...options, out: out.sink, err: err.sink }), args);
    return { code, out: out.text(), err: err.text() };
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }

  cli(options: Partial<Cli> = {}): Cli {
    return {
      out: aSink().sink,
      err: aSink().sink,
      environment: { PATH: process.env["PATH"] },
      folder: this.home,
      home: this.home,
      clock: realClock,
      random: realRandom,
      interrupts: { take: () => new AbortController().signal },
      input: () => Promise.resolve(Buffer.alloc(0)),
      version: "0.0.0",
      pid: process.pid,
      ...options,
    };
  }
}

/** Keeps what is written; a terminal when it is given a width. */
export function aSink(columns?: number): { readonly sink: Sink; readonly text: () => string } {
  const pieces: Buffer[] = [];
  return {
    sink: {
      isTerminal: columns !== undefined,
      columns: () => columns ?? 80,
      write: (text) => {
        pieces.push(Buffer.from(text));
      },
      flushed: () => Promise.resolve(),
    },
    text: () => Buffer.concat(pieces).toString(),
  };
}
