import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { WORKER_EXIT } from "../protocol/exit-codes.ts";
import { createProcessFile, endHandlers, signalGroup } from "./process-files.ts";
import type { GenerationName, PoolWorker } from "./worker-pool.ts";

/** Bytes that one worker process may print over its life: its handlers' output goes another way, so this is plenty. */
const OUTPUT_BYTES_MAX = 1024 * 1024;
const LINE_CHARACTERS_MAX = 8 * 1024;

/** Hears one line that a worker's own process printed. */
export type OutputListener = (name: GenerationName, worker: string, line: string) => void;

interface WorkerProcessOptions {
  readonly root: string;
  readonly command: readonly [string, ...string[]];
  readonly name: GenerationName;
  readonly index: number;
  readonly worker: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly onOutput: OutputListener | undefined;
  readonly onEnded: ((name: GenerationName, worker: PoolWorker) => void) | undefined;
}

/** One worker of a `ProcessPool`: started by the constructor, leader of its own process group. */
export class WorkerProcess {
  /** Resolves when its process and its handlers' groups are gone for certain. */
  readonly ended: Promise<void>;
  private readonly options: WorkerProcessOptions;
  private readonly child: ChildProcess;
  private drained = false;
  private end: { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null } | undefined;

  constructor(options: WorkerProcessOptions) {
    this.options = options;
    const [program, ...args] = options.command;
    this.child = spawn(program, args, {
      detached: true, // a process group of its own: Ctrl-C on the service reaches the service alone
      env: options.environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = new Promise((resolve) => {
      this.child.once("exit", (exitCode, signal) => {
        this.settle(exitCode, signal);
        resolve();
      });
      this.child.on("error", (error: NodeJS.ErrnoException) => {
        if (this.child.pid !== undefined) return; // it runs: the error is one of a signal that came too late
        this.say(`the worker's process could not be started: ${error.code ?? "unknown"} (${program})`);
        this.settle(WORKER_EXIT.misconfigured, null);
        resolve();
      });
    });
    this.listen();
    if (this.child.pid !== undefined) createProcessFile(options.root, options.worker, this.child.pid);
  }

  get facts(): PoolWorker {
    const { name, index, worker } = this.options;
    const facts = { generation: name.generation, index, worker };
    if (this.end === undefined) return { ...facts, phase: "running" };
    const { exitCode, signal } = this.end;
    return {
      ...facts,
      phase: "ended",
      ...(exitCode === null ? {} : { exitCode }),
      ...(signal === null ? {} : { signal }),
      ...(this.drained || exitCode === WORKER_EXIT.drained ? { disrupted: true } : {}),
    };
  }

  /** Asks it to leave, on behalf of the platform. */
  drain(): void {
    if (this.end !== undefined) return;
    this.drained = true;
    this.ask();
  }

  /** Asks it to leave: SIGTERM to the worker alone, which decides about its handlers. */
  ask(): void {
    if (this.end === undefined) this.child.kill("SIGTERM");
  }

  kill(): void {
    if (this.end === undefined && this.child.pid !== undefined) signalGroup(this.child.pid, "SIGKILL");
  }

  private settle(exitCode: number | null, signal: NodeJS.Signals | null): void {
    const { root, name, worker, onEnded } = this.options;
    if (this.child.pid !== undefined) signalGroup(this.child.pid, "SIGKILL"); // what it forked and left behind
    endHandlers(root, worker);
    this.end = { exitCode, signal };
    onEnded?.(name, this.facts);
  }

  private listen(): void {
    const budget = { bytes: OUTPUT_BYTES_MAX };
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream !== null) this.readLines(stream, budget);
    }
  }

  private readLines(stream: Readable, budget: { bytes: number }): void {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      if (budget.bytes <= 0) return; // read on, or a full pipe would stop the worker
      budget.bytes -= text.length;
      const lines = (rest + text).split("\n");
      rest = (lines.pop() ?? "").slice(-LINE_CHARACTERS_MAX);
      for (const line of lines) this.say(line);
      if (budget.bytes <= 0) this.say(`it printed more than ${String(OUTPUT_BYTES_MAX)} bytes: the rest is left out`);
    });
    stream.on("close", () => {
      if (rest !== "") this.say(rest);
    });
    stream.on("error", () => undefined); // the pipe of a process that is gone
  }

  private say(line: string): void {
    const { onOutput, name, worker } = this.options;
    onOutput?.(name, worker, line.slice(0, LINE_CHARACTERS_MAX));
  }
}
