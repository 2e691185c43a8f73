/** Runs a command that talks in lines, in a process group of its own. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface CommandEnd {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/**
 * Hears every line of the command's stdout and stderr, as they come. Rejects when it cannot be started, and with the signal's
 * reason when that aborts; then the whole process group was killed.
 */
export async function runCommand(
  command: Command,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<CommandEnd> {
  signal.throwIfAborted();
  const child = spawn(command.file, command.args, {
    cwd: command.cwd,
    env: { ...command.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const kill = () => {
    killGroup(child.pid);
  };
  signal.addEventListener("abort", kill, { once: true });
  try {
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", onLine);
    const end = await new Promise<CommandEnd>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode, endSignal) => {
        resolve({ exitCode, signal: endSignal });
      });
    });
    signal.throwIfAborted();
    return end;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // Gone already: what was wanted.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
