/** The `millrace` command in a process of its own, as a shell starts it. */
import { spawn } from "node:child_process";
import { join } from "node:path";

const REPOSITORY = join(import.meta.dirname, "../..");
const COMPILE_CACHE = join(REPOSITORY, ".cache/compiled");

export interface Command {
  out(): string;
  err(): string;
  kill(signal: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  hasEnded(): boolean;
}

export interface CommandOptions {
  readonly root: string;
  /** Inherited by everything it starts, to find what is left. */
  readonly mark?: Readonly<Record<string, string>>;
}

/** `entry` is a file under `cli/`; the working folder is the repository's. */
export function startCommand(entry: string, args: readonly string[], options: CommandOptions): Command {
  const { MILLRACE_ADDRESS: _address, ...environment } = process.env;
  const child = spawn(process.execPath, [join(REPOSITORY, "cli", entry), ...args], {
    cwd: REPOSITORY,
    env: {
      ...environment,
      ...options.mark,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      MILLRACE_ROOT: options.root,
      XDG_CONFIG_HOME: join(options.root, "config"), // no context of whoever runs the tests
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => {
      resolve(code ?? signal ?? "unknown");
    });
  });
  return {
    out: () => out,
    err: () => err,
    kill: (signal) => void child.kill(signal),
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
  };
}
