import type { RunMeta } from "../../services/protocol/frames.ts";
import type { Handler, Ready, RunAnswer } from "../../services/worker/handlers/handler.ts";

interface Call {
  readonly meta: RunMeta | "complete";
  readonly items: Buffer;
  readonly answer: (answer: RunAnswer) => void;
}

export const DONE: RunAnswer = { kind: "done", rows: null, bytes: Buffer.alloc(0) };

export const RAISED: RunAnswer = { kind: "failed", cause: "raised", error: "boom", traceback: "tb" };

/** A handler whose answers the test gives. Calls wait in its pipe; the first one is in work. It keeps `Handler`'s word. */
export class FakeHandler implements Handler {
  /** Every call's meta and items, in order. */
  readonly seen: { readonly meta: RunMeta | "complete"; readonly items: string }[] = [];
  readonly kills: string[] = [];
  totalBatches: number | undefined;
  isClosed = false;
  readonly ended: Promise<void>;
  #end: () => void = () => undefined;
  #gone = false;
  #pipe: Call[] = [];

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  start(): Promise<Ready> {
    return Promise.resolve({ hook: false });
  }

  run(meta: RunMeta, items: Buffer): Promise<RunAnswer> {
    return this.#call(meta, items);
  }

  complete(): Promise<RunAnswer> {
    return this.#call("complete", Buffer.alloc(0));
  }

  tellTotalBatches(batches: number): void {
    this.totalBatches = batches;
  }

  /** Calls that are not answered yet. */
  get depth(): number {
    return this.#pipe.length;
  }

  /** First items of the batches in the pipe. */
  get inPipe(): (number | "complete")[] {
    return this.#pipe.map(({ meta }) => (meta === "complete" ? meta : meta.first));
  }

  /** Answers the first call in the pipe. */
  answer(answer: RunAnswer = DONE): void {
    const call = this.#pipe.shift();
    if (call === undefined) throw new Error("nothing was asked of the handler");
    call.answer(answer);
  }

  kill(cause: "timed_out" | "aborted" | "out_of_memory"): void {
    this.kills.push(cause);
    this.die(cause);
  }

  /** Its process ends; what was in work fails, what waited has not begun. */
  die(cause: "timed_out" | "aborted" | "out_of_memory" | "killed" = "killed"): void {
    if (this.#gone) return;
    this.#gone = true;
    const [first, ...rest] = this.#pipe.splice(0);
    first?.answer({ kind: "failed", cause, error: `the handler was ended: ${cause}`, traceback: "" });
    for (const call of rest) call.answer({ kind: "not_begun" });
    this.#end();
  }

  /** Its process ends before it has begun anything of what is in its pipe. */
  dieUnbegun(): void {
    if (this.#gone) return;
    this.#gone = true;
    for (const call of this.#pipe.splice(0)) call.answer({ kind: "not_begun" });
    this.#end();
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.die("aborted");
    return this.ended;
  }

  #call(meta: RunMeta | "complete", items: Buffer): Promise<RunAnswer> {
    if (this.#gone) return Promise.resolve({ kind: "not_begun" });
    this.seen.push({ meta, items: items.toString() });
    return new Promise((resolve) => this.#pipe.push({ meta, items, answer: resolve }));
  }
}
