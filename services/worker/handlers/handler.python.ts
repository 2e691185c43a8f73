/** A handler in a Python child process, spoken to by frames (docs/handler-protocol.md). */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable } from "node:stream";
import type { Clock, Random } from "../../backends/clock.ts";
import { ENV } from "../../protocol/environment.ts";
import { FRAME_KIND, type HandlerInit, type RunMeta } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { readAnswer, readStart } from "./answers.ts";
import { encodeHead, FrameReader, type RawFrame } from "./frames.ts";
import { type Handler, HandlerStartFailed, type Ready, type RunAnswer } from "./handler.ts";
import { describeEnd, killSentence, type KillCause } from "./handler-end.ts";
import { OutputSplitter } from "./output.ts";

/** A line that the handler printed; `batchId` is missing before the first batch and in the completion hook. */
export interface HandlerOutput {
  readonly batchId: string | undefined;
  readonly text: string;
}

export interface PythonHandlerOptions {
  /** Command of the Python of the environment. */
  readonly python: string;
  /** Path of `millrace_host/__main__.py`. */
  readonly hostPath: string;
  /** The child's whole environment but what is set here. */
  readonly env: Readonly<Record<string, string>>;
  /** Which of the worker's handler processes this is, from 0. */
  readonly processIndex: number;
  readonly output: (line: HandlerOutput) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** How long `close` waits for the process to end by itself; default 2 seconds. */
  readonly closeSeconds?: number;
}

/** glibc gives freed memory back too eagerly for megabytes of JSON a batch: 2.1 ms become 0.85 ms. */
const MALLOC_ENVIRONMENT = {
  MALLOC_TRIM_THRESHOLD_: String(256 * 1024 * 1024),
  MALLOC_MMAP_THRESHOLD_: String(256 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(16 * 1024 * 1024),
} as const;

/** What still holds the output open after the process ended and its group was killed has left the group: it is let go. */
const OUTPUT_GRACE_MS = 1_000;
const START_LINES_KEPT = 100;

interface Call {
  readonly sequence: number;
  readonly batchId: string | undefined;
  readonly items: number;
  readonly begun: (() => void) | undefined;
  readonly resolve: (answer: RunAnswer) => void;
  hasBegun: boolean;
}

interface Starting {
  readonly resolve: (ready: Ready) => void;
  readonly reject: (error: HandlerStartFailed) => void;
}

/** A `Handler` that also tells its process group, for whoever must end it when the supervisor is gone. */
export interface PythonHandler extends Handler {
  /** Process id, which is its group's id as well; undefined when the command could not be started. */
  readonly pid: number | undefined;
}

export function startPythonHandler(options: PythonHandlerOptions): PythonHandler {
  return new PythonChild(options);
}

class PythonChild implements PythonHandler {
  readonly ended: Promise<void>;
  readonly #options: PythonHandlerOptions;
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #nonce: string;
  readonly #frames = new FrameReader();
  readonly #output: OutputSplitter;
  /** Unanswered calls, in order. */
  readonly #calls: Call[] = [];
  #starting: Starting | undefined;
  #startLines: string[] = [];
  /** Batch id by sequence for the lines of the frame in work. */
  #inWork: { sequence: number; batchId: string | undefined } = { sequence: -1, batchId: undefined };
  #nextSequence = 1;
  #lastAnswered = -1;
  #batchesTotal: number | undefined;
  #askedBy: number | undefined;
  #killed: KillCause | undefined;
  #garbage: string | undefined;
  #isEnded = false;
  #spawnError: Error | undefined;

  constructor(options: PythonHandlerOptions) {
    this.#options = options;
    this.#nonce = options.random.hex(8);
    this.#output = new OutputSplitter({
      nonce: this.#nonce,
      clock: options.clock,
      onLine: (line) => {
        this.#say(line.text);
      },
      onMarker: (sequence) => {
        this.#onMarker(sequence);
      },
    });
    this.#child = spawn(options.python, ["-I", options.hostPath], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      env: { ...MALLOC_ENVIRONMENT, ...options.env, [ENV.processIndex]: String(options.processIndex) },
    });
    this.#socket = this.#child.stdio[3] as Duplex;
    this.ended = this.#live();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  start(init: Omit<HandlerInit, "nonce">): Promise<Ready> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      if (this.#isEnded) this.#failStart();
      else this.#send(FRAME_KIND.init, 0, "{}", Buffer.from(JSON.stringify({ ...init, nonce: this.#nonce })));
    });
  }

  run(meta: RunMeta, items: Buffer, begun?: () => void): Promise<RunAnswer> {
    return this.#call(FRAME_KIND.run, JSON.stringify(meta), items, meta, begun);
  }

  complete(): Promise<RunAnswer> {
    return this.#call(FRAME_KIND.complete, "", Buffer.alloc(0), undefined, undefined);
  }

  tellTotalBatches(batches: number): void {
    this.#batchesTotal = batches;
    if (this.#askedBy !== undefined) this.#tellFacts(this.#askedBy, batches);
  }

  kill(cause: KillCause): void {
    if (this.#isEnded) return;
    this.#killed ??= cause;
    this.#killGroup();
  }

  async close(): Promise<void> {
    if (!this.#isEnded) {
      this.#socket.end();
      const waiting = new AbortController();
      const grace = this.#options.clock.sleep((this.#options.closeSeconds ?? 2) * 1000, waiting.signal);
      await Promise.race([this.ended, grace.catch(() => undefined)]); // rejects only when we abort it below
      waiting.abort();
      if (!this.#isEnded) this.#killGroup();
    }
    await this.ended;
  }

  #call(
    kind: number,
    metaText: string,
    body: Buffer,
    meta: RunMeta | undefined,
    begun: (() => void) | undefined,
  ): Promise<RunAnswer> {
    if (this.#isEnded || this.#killed !== undefined || this.#garbage !== undefined) {
      return Promise.resolve({ kind: "not_begun" });
    }
    return new Promise((resolve) => {
      const sequence = this.#nextSequence;
      this.#nextSequence += 1;
      this.#calls.push({ sequence, batchId: meta?.batch_id, items: meta?.items ?? 0, begun, resolve, hasBegun: false });
      this.#send(kind, sequence, metaText, body);
    });
  }

  #send(kind: number, sequence: number, meta: string, body: Buffer): void {
    this.#socket.cork();
    this.#socket.write(encodeHead(kind, sequence, meta, body.length));
    if (body.length > 0) this.#socket.write(body);
    this.#socket.uncork();
  }

  #tellFacts(sequence: number, batches: number): void {
    this.#askedBy = undefined;
    this.#send(FRAME_KIND.facts, sequence, "", Buffer.from(JSON.stringify({ total_batch_count: batches })));
  }

  /** From spawn to the last byte read. */
  async #live(): Promise<void> {
    const { stdout, stderr } = this.#child;
    const outputs = [stdout, stderr].filter((stream) => stream !== null);
    for (const stream of outputs) stream.on("data", (chunk: Buffer) => this.#output.push(chunk));
    this.#socket.on("data", (chunk: Buffer) => {
      this.#onBytes(chunk);
    });
    // A dead child is told by its exit; a write that it did not read any more has nothing to add.
    this.#socket.on("error", () => undefined);
    const streamsEnded = Promise.all([...outputs, this.#socket].map(untilClosed));
    const [code, signal] = await this.#untilExit();
    this.#killGroup(); // children that it forked must not outlive it
    const waiting = new AbortController();
    const grace = this.#options.clock.sleep(OUTPUT_GRACE_MS, waiting.signal).catch(() => undefined);
    await Promise.race([streamsEnded, grace]);
    waiting.abort();
    for (const stream of [...outputs, this.#socket]) stream.destroy();
    this.#output.end();
    this.#settleEnd(code, signal);
  }

  #untilExit(): Promise<[number | null, NodeJS.Signals | null]> {
    return new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        resolve([code, signal]);
      });
      this.#child.on("error", (error) => {
        this.#spawnError ??= error;
        if (this.#child.pid === undefined) resolve([null, null]);
      });
    });
  }

  #settleEnd(code: number | null, signal: NodeJS.Signals | null): void {
    this.#isEnded = true;
    const end = describeEnd(code, signal);
    this.#failStart(end.sentence);
    // Where markers stopped coming (user code closed the output's descriptors) the oldest one is the best guess.
    const begun = this.#inWork.sequence < this.#lastAnswered ? this.#calls[0]?.sequence : this.#inWork.sequence;
    for (const call of this.#calls.splice(0)) {
      // Earlier ones were done but their answers are lost, later ones never began: neither is to blame.
      if (call.sequence !== begun) call.resolve({ kind: "not_begun" });
      else call.resolve(this.#failedByEnd(end));
    }
  }

  #failedByEnd(end: { cause: "exited" | "killed"; sentence: string }): RunAnswer {
    if (this.#killed !== undefined) {
      return { kind: "failed", cause: this.#killed, error: killSentence(this.#killed), traceback: "" };
    }
    if (this.#garbage !== undefined) {
      return { kind: "failed", cause: "bad_answer", error: this.#garbage, traceback: "" };
    }
    return { kind: "failed", cause: end.cause, error: `The handler process ${end.sentence}`, traceback: "" };
  }

  #failStart(sentence = "had ended"): void {
    const starting = this.#starting;
    this.#starting = undefined;
    if (starting === undefined) return;
    const said = this.#startLines.join("\n").slice(-LIMITS.tracebackCharactersMax);
    if (this.#spawnError !== undefined && this.#child.pid === undefined) {
      const { code } = this.#spawnError as NodeJS.ErrnoException;
      const why = `The command "${this.#options.python}" could not be started (${code ?? "unknown error"})`;
      starting.reject(new HandlerStartFailed(`${why}; set ${ENV.python} to a Python of 3.9 to 3.13`, ""));
    } else if (this.#killed !== undefined) {
      starting.reject(new HandlerStartFailed("The handler process was killed while it started", said));
    } else {
      const text = this.#garbage ?? `The handler process ${sentence} while it started`;
      starting.reject(new HandlerStartFailed(text, said));
    }
  }

  #onMarker(sequence: number): void {
    // A handler can guess at no marker, but it can repeat one: only a call that waits for its answer begins.
    const call = this.#calls.find((waiting) => waiting.sequence === sequence);
    this.#inWork = { sequence, batchId: call?.batchId ?? this.#batchIdAfterAnswer(sequence) };
    if (call !== undefined) begin(call);
  }

  /** The answer may be read before the marker is; its lines are still the batch's. */
  #batchIdAfterAnswer(sequence: number): string | undefined {
    return this.#answered.get(sequence);
  }

  readonly #answered = new Map<number, string>();

  #say(text: string): void {
    if (this.#starting !== undefined) {
      this.#startLines.push(text);
      if (this.#startLines.length > START_LINES_KEPT) this.#startLines.shift();
    }
    this.#options.output({ batchId: this.#inWork.batchId, text });
  }

  #onBytes(chunk: Buffer): void {
    if (this.#garbage !== undefined || this.#isEnded) return;
    const frames = this.#frames.push(chunk);
    for (const frame of frames ?? []) {
      if (!this.#onFrame(frame)) {
        this.#rejectGarbage();
        return;
      }
    }
    if (frames === undefined) this.#rejectGarbage();
  }

  /** False: no frame that may come now. */
  #onFrame(frame: RawFrame): boolean {
    if (frame.kind === FRAME_KIND.ask) {
      if (this.#batchesTotal === undefined) this.#askedBy = frame.sequence;
      else this.#tellFacts(frame.sequence, this.#batchesTotal);
      return true;
    }
    if (this.#starting !== undefined) return this.#onStartFrame(this.#starting, frame);
    const call = this.#calls[0];
    if (call?.sequence !== frame.sequence) return false;
    const answer = readAnswer(frame, call.items);
    if (answer === undefined) return false;
    this.#calls.shift();
    this.#lastAnswered = call.sequence;
    this.#keepBatchId(call);
    begin(call);
    call.resolve(answer);
    return true;
  }

  #keepBatchId(call: Call): void {
    if (call.hasBegun || call.batchId === undefined) return;
    this.#answered.set(call.sequence, call.batchId);
    for (const sequence of this.#answered.keys()) {
      if (this.#answered.size <= 64) break; // markers lag behind answers by a few batches only
      this.#answered.delete(sequence);
    }
  }

  #onStartFrame(starting: Starting, frame: RawFrame): boolean {
    const start = readStart(frame);
    if (start === undefined) return false;
    this.#starting = undefined;
    this.#startLines = [];
    if (start instanceof HandlerStartFailed) starting.reject(start);
    else starting.resolve(start);
    return true;
  }

  #rejectGarbage(): void {
    this.#garbage = "The handler process wrote bytes to its control socket (descriptor 3) that are no answer";
    this.#killGroup();
  }

  #killGroup(): void {
    const pid = this.#child.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // nobody is left in the group
    }
  }
}

function begin(call: Call): void {
  if (call.hasBegun) return;
  call.hasBegun = true;
  call.begun?.();
}

function untilClosed(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", resolve);
  });
}
