/** A process of a test cluster: it dies with the one that started it, writes to a file, and tells that file's end when it fails. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const LOG_LINES_TOLD = 15;
const LOOK_EVERY_MILLISECONDS = 50;

export interface ClusterProcess {
  readonly name: string;
  readonly pid: number;
  hasEnded(): boolean;
  /** Resolves when it has ended, by whomever. */
  readonly ended: Promise<void>;
  /** Sends the signal, and resolves when it has ended; at once when it has already. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** The last lines that it wrote. */
  lastLines(): string;
}

export interface ProcessCommand {
  /** What an error calls it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Written from its start; a second process of the same file appends. */
  readonly logFile: string;
  /** Beside the test's own environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Starts it in a process group of its own, such that a signal to the test's group (Ctrl-C) leaves its order of stopping
 * alone. The kernel sends it SIGKILL when the process that called this ends, in whatever way.
 */
export function startProcess({ name, command, args, logFile, environment }: ProcessCommand): ClusterProcess {
  const log = openSync(logFile, "a");
  const child = spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], {
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, ...environment },
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => {
      resolve();
    });
    child.once("error", () => {
      resolve();
    });
  });
  const hasEnded = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  return {
    name,
    pid: child.pid ?? 0,
    hasEnded,
    ended,
    end: async (signal) => {
      if (!hasEnded()) child.kill(signal);
      await ended;
    },
    lastLines: () => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LOG_LINES_TOLD).join("\n"),
  };
}

/**
 * Looks until `look` answers something other than false.
 * @throws when a process that this waits on has ended, with the end of its log, or when the time is over, with all of theirs.
 */
export async function awaitWith<T>(
  what: string,
  processes: readonly ClusterProcess[],
  look: () => T | false | undefined | Promise<T | false | undefined>,
  seconds = 60,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  let lastError: unknown;
  for (;;) {
    const found = await Promise.resolve()
      .then(look)
      .catch((error: unknown) => {
        lastError = error;
        return undefined;
      });
    if (found !== undefined && found !== false) return found;
    const dead = processes.find((one) => one.hasEnded());
    if (dead !== undefined)
      throw new Error(`${dead.name} ended while the test waited for ${what}:\n${dead.lastLines()}`);
    if (performance.now() > deadline) {
      const logs = processes.map((one) => `--- ${one.name}\n${one.lastLines()}`);
      throw new Error([`waited ${String(seconds)} s in vain for ${what}`, ...logs].join("\n"), { cause: lastError });
    }
    await sleep(LOOK_EVERY_MILLISECONDS);
  }
}
