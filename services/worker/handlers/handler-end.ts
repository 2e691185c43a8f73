/** Says how a handler process ended, in words for the failed attempt. */
import { ENV } from "../../protocol/environment.ts";
import type { ChildEnd } from "./child.ts";
import type { Handler } from "./handler.ts";

export type KillCause = Parameters<Handler["kill"]>[0];

export interface HandlerEnd {
  readonly cause: "exited" | "killed";
  /** Follows "The handler process". */
  readonly sentence: string;
}

/** Signals by which programs end themselves through a fault of their own. */
const FAULTS: Readonly<Record<string, string>> = {
  SIGSEGV: "a memory fault in native code",
  SIGBUS: "a memory fault in native code",
  SIGILL: "an instruction that this processor does not have",
  SIGFPE: "an arithmetic fault in native code",
  SIGABRT: "native code called abort",
};

/** `code` and `signal` as a child process's exit event gives them. */
export function describeEnd(code: number | null, signal: NodeJS.Signals | null): HandlerEnd {
  if (signal === "SIGKILL") {
    return { cause: "killed", sentence: "was killed (SIGKILL), perhaps by the system for want of memory" };
  }
  if (signal !== null) {
    const fault = FAULTS[signal];
    return { cause: "killed", sentence: `was killed (${signal}${fault === undefined ? "" : `: ${fault}`})` };
  }
  return { cause: "exited", sentence: `ended with exit code ${String(code ?? 0)}` };
}

const KILL_SENTENCES = {
  timed_out: "The batch ran longer than its batch timeout, and its handler process was killed",
  aborted: "The attempt was aborted, and its handler process was killed",
  out_of_memory: "The worker ran out of memory, and its handler process was killed",
} as const satisfies Record<KillCause, string>;

export function killSentence(cause: KillCause): string {
  return KILL_SENTENCES[cause];
}

/** Why a process that ended before it was ready did so. */
export function describeStartEnd(end: ChildEnd, command: string): string {
  if (end.spawnError !== undefined) {
    return `The command "${command}" could not be started (${end.spawnError}); set ${ENV.python} to a Python of 3.9 to 3.13`;
  }
  return `The handler process ${describeEnd(end.code, end.signal).sentence} while it started`;
}
