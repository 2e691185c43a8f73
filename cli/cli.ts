/** What a command gets from its process; tests give their own. */
import type { Clock, Random } from "../services/backends/clock.ts";

/** stdout or stderr. */
export interface Sink {
  readonly isTerminal: boolean;
  /** Width of the terminal now; 80 where there is none. */
  readonly columns: () => number;
  readonly write: (text: string | Uint8Array) => void;
  /** Resolves when the reader has been given all that was written: long streams stay small in memory, and an exit loses nothing. */
  readonly flushed: () => Promise<void>;
}

export interface Interrupts {
  /**
   * Aborts at the first Ctrl-C (or SIGTERM, SIGHUP), which from now on belongs to the caller; the second ends the process at
   * once. Until somebody has asked, the first one does.
   */
  readonly take: () => AbortSignal;
}

export interface Cli {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The working folder. */
  readonly folder: string;
  readonly home: string;
  readonly out: Sink;
  readonly err: Sink;
  readonly clock: Clock;
  readonly random: Random;
  readonly interrupts: Interrupts;
  /** All of stdin. */
  readonly input: () => Promise<Buffer>;
  readonly version: string;
  readonly pid: number;
}
