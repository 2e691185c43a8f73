/** The service's program as a process of this machine: what it says, and how it ends. */
import { spawn } from "node:child_process";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "../../../services/batch-api/main.ts");

export interface ServiceProcess {
  readonly pid: number;
  /** How it ended: an exit code, or the name of a signal. */
  readonly ended: Promise<number | string>;
  hasEnded(): boolean;
  /** All that it wrote. */
  said(): string;
  kill(signal: NodeJS.Signals): void;
}

/** It has these variables and no other ones, and dies with this process. */
export function startServiceProcess(environment: Readonly<Record<string, string>>): ServiceProcess {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", process.execPath, MAIN], {
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  let over = false;
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => {
      over = true;
      resolve(code ?? signal ?? "unknown");
    });
  });
  return {
    pid: child.pid ?? 0,
    ended,
    hasEnded: () => over,
    said: () => said,
    kill: (signal) => {
      child.kill(signal);
    },
  };
}
