/** A child process in its own group, with one control socket and an output; nothing that it forked outlives it. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable } from "node:stream";
import type { Clock } from "../../backends/clock.ts";

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Bytes from the control socket, descriptor 3 of the child. */
  readonly onBytes: (chunk: Buffer) => void;
  /** Bytes from its standard output and error. */
  readonly onOutput: (chunk: Buffer) => void;
}

/** How it ended; `spawnError` (an errno code) when the command could not be started. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly spawnError: string | undefined;
}

/** What still holds the pipes when the process is gone and its group killed has left the group: it is let go. */
const STREAMS_GRACE_MS = 1_000;

export class Child {
  /** Resolves when the process is gone and everything it wrote was given out. Never rejects. */
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  readonly #socket: Duplex;
  #corked = false;

  constructor(options: ChildOptions) {
    this.#process = spawn(options.command, options.args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      env: options.env,
    });
    this.#socket = this.#process.stdio[3] as Duplex;
    this.ended = this.#live(options);
  }

  /** Also the id of its process group; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /**
   * Writes to the control socket; what a dead child does not read any more is dropped. The writes of one burst leave in
   * one system call: it is a good part of a short batch's price, and so is waking the child.
   */
  write(bytes: Buffer): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  /** Ends the child's input. */
  closeInput(): void {
    this.#socket.end();
  }

  /** SIGKILL to the whole group. */
  killGroup(): void {
    const pid = this.#process.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // nobody is left in the group
    }
  }

  async #live(options: ChildOptions): Promise<ChildEnd> {
    const { stdout, stderr } = this.#process;
    const outputs = [stdout, stderr].filter((stream) => stream !== null);
    for (const stream of outputs) stream.on("data", options.onOutput);
    this.#socket.on("data", options.onBytes);
    // A dead child is told by its exit; a write that it did not read has nothing to add.
    this.#socket.on("error", () => undefined);
    const streams = [...outputs, this.#socket];
    const streamsClosed = Promise.all(streams.map(untilClosed));
    const end = await this.#untilExit();
    this.killGroup();
    const waiting = new AbortController();
    const grace = options.clock.sleep(STREAMS_GRACE_MS, waiting.signal).catch(() => undefined); // aborted below
    await Promise.race([streamsClosed, grace]);
    waiting.abort();
    for (const stream of streams) stream.destroy();
    return end;
  }

  #untilExit(): Promise<ChildEnd> {
    return new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => {
        resolve({ code, signal, spawnError: undefined });
      });
      // Without a process id it never ran, and no exit will come; other errors (a signal not sent) change nothing.
      this.#process.on("error", (error: NodeJS.ErrnoException) => {
        if (this.#process.pid === undefined) {
          resolve({ code: null, signal: null, spawnError: error.code ?? "unknown error" });
        }
      });
    });
  }
}

function untilClosed(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", resolve);
  });
}
