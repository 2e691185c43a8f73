/** A handler in a Python child process, spoken to by frames (docs/handler-protocol.md). */
import type { Clock, Random } from "../../backends/clock.ts";
import { ENV } from "../../protocol/environment.ts";
import { FRAME_KIND, type HandlerInit, type RunMeta } from "../../protocol/frames.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { readAnswer, readStart } from "./answers.ts";
import { Calls } from "./calls.ts";
import { Child, type ChildEnd } from "./child.ts";
import { encodeFrame, FrameReader, type RawFrame } from "./frames.ts";
import { describeEnd, describeStartEnd, killSentence, type KillCause } from "./handler-end.ts";
import { type Handler, HandlerStartFailed, type Ready, type RunAnswer } from "./handler.ts";
import { OutputSplitter } from "./output.ts";

/** A line that the handler printed; `batchId` is undefined before the first batch and in the completion hook. */
export interface HandlerOutput {
  /** The batch in work; undefined outside batches. */
  readonly batchId: string | undefined;
  /** Index in the job of that batch's first item. */
  readonly first: number | undefined;
  readonly text: string;
}

export interface PythonHandlerOptions {
  /** Command of the Python of the environment, 3.9 to 3.13. */
  readonly python: string;
  /** Path of `services/worker/python/millrace_host/__main__.py`. */
  readonly hostPath: string;
  /** The child's whole environment, but for what is set here. */
  readonly env: Readonly<Record<string, string>>;
  /** Which of the worker's handler processes this is, from 0. */
  readonly processIndex: number;
  readonly output: (line: HandlerOutput) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** How long `close` waits for the process to end by itself; default 2 seconds. */
  readonly closeSeconds?: number;
}

/** A `Handler` that always tells its process group, for whoever must end it when the supervisor is gone. */
export interface PythonHandler extends Handler {
  /** Undefined when the command could not be started. */
  readonly pid: number | undefined;
}

/** glibc gives freed memory back too eagerly for megabytes of JSON a batch: 2.1 ms become 0.85 ms. */
export const MALLOC_ENVIRONMENT = {
  MALLOC_TRIM_THRESHOLD_: String(256 * 1024 * 1024),
  MALLOC_MMAP_THRESHOLD_: String(256 * 1024 * 1024),
  MALLOC_TOP_PAD_: String(16 * 1024 * 1024),
} as const;

const NO_BODY = Buffer.alloc(0);
/** Of what a process printed while it started, so many lines may explain why it ended. */
const START_LINES_KEPT = 100;
const GARBAGE = "The handler process wrote bytes to its control socket (descriptor 3) that are no answer";

export function startPythonHandler(options: PythonHandlerOptions): PythonHandler {
  return new PythonChild(options);
}

interface Starting {
  readonly resolve: (ready: Ready) => void;
  readonly reject: (error: HandlerStartFailed) => void;
}

class PythonChild implements PythonHandler {
  readonly ended: Promise<void>;
  readonly #options: PythonHandlerOptions;
  readonly #child: Child;
  readonly #nonce: string;
  readonly #frames = new FrameReader();
  readonly #calls = new Calls();
  #starting: Starting | undefined;
  #startLines: string[] = [];
  #nextSequence = 1;
  #batchesTotal: number | undefined;
  #askedBy: number | undefined;
  #askedLast = -1;
  /** Its own worker ends it: what it does not answer any more is no fault of its own. */
  #isClosing = false;
  #killed: { readonly cause: KillCause; readonly begun: number | undefined } | undefined;
  #sentGarbage = false;
  #end: ChildEnd | undefined;

  constructor(options: PythonHandlerOptions) {
    this.#options = options;
    this.#nonce = options.random.hex(8);
    const output = new OutputSplitter({
      nonce: this.#nonce,
      clock: options.clock,
      onLine: this.#say.bind(this),
      onMarker: this.#calls.mark.bind(this.#calls),
    });
    this.#child = new Child({
      command: options.python,
      args: ["-I", options.hostPath],
      env: { ...MALLOC_ENVIRONMENT, ...options.env, [ENV.processIndex]: String(options.processIndex) },
      clock: options.clock,
      onBytes: this.#onBytes.bind(this),
      onOutput: output.push.bind(output),
    });
    this.ended = this.#child.ended.then((end) => {
      output.end();
      this.#settleEnd(end);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  start(init: Omit<HandlerInit, "nonce">): Promise<Ready> {
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      if (this.#end !== undefined) this.#failStart(this.#end);
      else this.#send(FRAME_KIND.init, 0, "{}", Buffer.from(JSON.stringify({ ...init, nonce: this.#nonce })));
    });
  }

  run(meta: RunMeta, items: Buffer, begun?: () => void): Promise<RunAnswer> {
    return this.#call(FRAME_KIND.run, meta, items, begun);
  }

  complete(): Promise<RunAnswer> {
    return this.#call(FRAME_KIND.complete, undefined, NO_BODY, undefined);
  }

  tellTotalBatches(batches: number): void {
    this.#batchesTotal = batches;
    if (this.#askedBy !== undefined) this.#tellFacts(this.#askedBy, batches);
  }

  kill(cause: KillCause): void {
    if (this.#end !== undefined) return;
    this.#killed ??= { cause, begun: this.#calls.begun };
    this.#child.killGroup();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#child.closeInput();
    const waiting = new AbortController();
    const milliseconds = (this.#options.closeSeconds ?? 2) * 1000;
    const grace = this.#options.clock.sleep(milliseconds, waiting.signal).catch(() => undefined); // aborted below
    await Promise.race([this.ended, grace]);
    waiting.abort();
    if (this.#end === undefined) this.#child.killGroup();
    await this.ended;
  }

  #call(kind: number, meta: RunMeta | undefined, body: Buffer, begun: (() => void) | undefined): Promise<RunAnswer> {
    if (this.#end !== undefined || this.#killed !== undefined || this.#sentGarbage) {
      return Promise.resolve({ kind: "not_begun" });
    }
    return new Promise((resolve) => {
      const sequence = this.#nextSequence;
      this.#nextSequence += 1;
      this.#calls.add({ sequence, meta, begun, resolve });
      this.#send(kind, sequence, meta === undefined ? "" : JSON.stringify(meta), body);
    });
  }

  #send(kind: number, sequence: number, meta: string, body: Buffer): void {
    for (const piece of encodeFrame(kind, sequence, meta, body)) this.#child.write(piece);
  }

  #tellFacts(sequence: number, batches: number): void {
    this.#askedBy = undefined;
    this.#send(FRAME_KIND.facts, sequence, "", Buffer.from(JSON.stringify({ total_batch_count: batches })));
  }

  #settleEnd(end: ChildEnd): void {
    this.#end = end;
    this.#failStart(end);
    const { cause, sentence } = describeEnd(end.code, end.signal);
    if (this.#killed !== undefined) {
      const error = killSentence(this.#killed.cause);
      this.#calls.end({ kind: "failed", cause: this.#killed.cause, error, traceback: "" }, this.#killed.begun);
    } else if (this.#sentGarbage) {
      this.#calls.end({ kind: "failed", cause: "bad_answer", error: GARBAGE, traceback: "" }, this.#calls.begun);
    } else {
      const error = `The handler process ${sentence}`;
      const charged = this.#isClosing ? "aborted" : cause;
      this.#calls.end({ kind: "failed", cause: charged, error, traceback: "" }, this.#calls.begun);
    }
  }

  #failStart(end: ChildEnd): void {
    const starting = this.#starting;
    this.#starting = undefined;
    if (starting === undefined) return;
    const said = this.#startLines.join("\n").slice(-LIMITS.tracebackCharactersMax);
    let error = describeStartEnd(end, this.#options.python);
    if (this.#sentGarbage) error = GARBAGE;
    if (this.#killed !== undefined) error = "The handler process was told to stop while it started";
    const killed = end.signal !== null && !this.#sentGarbage && this.#killed === undefined;
    starting.reject(new HandlerStartFailed(error, said, killed));
  }

  #say(text: string): void {
    if (this.#starting !== undefined) {
      this.#startLines.push(text);
      if (this.#startLines.length > START_LINES_KEPT) this.#startLines.shift();
    }
    const batch = this.#calls.inWork;
    this.#options.output({ batchId: batch?.batch_id, first: batch?.first, text });
  }

  #onBytes(chunk: Buffer): void {
    if (this.#sentGarbage) return;
    // Answers before the garbage count: their batches were done.
    const good = this.#frames.push(chunk).every((frame) => this.#onFrame(frame));
    if (good && !this.#frames.broken) return;
    this.#sentGarbage = true;
    this.#child.killGroup();
  }

  /** False: no frame that may come now. */
  #onFrame(frame: RawFrame): boolean {
    if (frame.kind === FRAME_KIND.ask) return this.#onAsk(frame.sequence);
    if (this.#starting !== undefined) return this.#onStartFrame(this.#starting, frame);
    const call = this.#calls.first;
    if (call?.sequence !== frame.sequence) return false;
    const answer = readAnswer(frame, call.meta?.items ?? 0);
    if (answer === undefined) return false;
    this.#calls.answer(answer);
    return true;
  }

  /** A frame's second question is not answered again: answers that nobody reads would pile up here. */
  #onAsk(sequence: number): boolean {
    if (sequence >= this.#nextSequence) return false;
    if (sequence <= this.#askedLast) return true;
    this.#askedLast = sequence;
    if (this.#batchesTotal === undefined) this.#askedBy = sequence;
    else this.#tellFacts(sequence, this.#batchesTotal);
    return true;
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
}
