/**
 * One handler process, seen from its supervisor: user code that is never trusted. It may print, hang, leak, crash or be
 * killed. Two implementations: a Python child (`handler.python.ts`) and the simulation's.
 */
import type { HandlerInit, RunMeta } from "../../protocol/frames.ts";

/** How an attempt failed. */
export type AttemptCause =
  | "raised"
  | "exited"
  | "killed"
  | "out_of_memory"
  | "timed_out"
  | "bad_answer"
  | "bad_item"
  | "input_changed"
  | "aborted";

export type RunAnswer =
  /** `rows` lines of managed results (already `{"index":…,"result":…}\n`), or null when the handler returned nothing. */
  | { readonly kind: "done"; readonly rows: number | null; readonly bytes: Buffer }
  | { readonly kind: "failed"; readonly cause: AttemptCause; readonly error: string; readonly traceback: string }
  /** The items are no JSON array of the right length; the handler was not called. */
  | { readonly kind: "bad_items" }
  /** The process ended or was killed before it began this batch: charged to nobody. */
  | { readonly kind: "not_begun" };

export interface Ready {
  readonly hook: boolean;
}

/** The handler could not start: not importable, wrong signature, raised in `__init__`, ended. */
export class HandlerStartFailed extends Error {
  override readonly name = "HandlerStartFailed";
  readonly traceback: string;
  /** A signal ended its process before it said anything: that may be another's doing, and worth another try. */
  readonly killed: boolean;

  constructor(message: string, traceback: string, killed = false) {
    super(message);
    this.traceback = traceback;
    this.killed = killed;
  }
}

export interface Handler {
  /** Process id, which is its group's id as well; undefined: no process of this worker, or none that could be started. */
  readonly pid?: number | undefined;

  /** Sends `init` and waits for the answer; throws `HandlerStartFailed`. Called once. */
  start(init: Omit<HandlerInit, "nonce">): Promise<Ready>;

  /**
   * Runs one batch. May be called while earlier calls wait (two in the pipe keep the handler busy); answers come in
   * order. Never rejects: a dead process is an answer. `begun` is called when the handler has begun this batch, at the
   * latest just before the promise resolves with `done` or `failed`.
   */
  run(meta: RunMeta, items: Buffer, begun?: () => void): Promise<RunAnswer>;

  /** Calls on_job_complete; answered as `run` is, with `rows: null`. */
  complete(): Promise<RunAnswer>;

  /** Answers the handler's question for the total number of batches, now or when it comes. */
  tellTotalBatches(batches: number): void;

  /** SIGKILL to the whole process group; what was begun answers `failed` with `cause`, the rest `not_begun`. */
  kill(cause: "timed_out" | "aborted" | "out_of_memory"): void;

  /**
   * Closes the input and gives the process a moment to end by itself, then kills its group. Resolves when it is gone. What was
   * begun and not answered by then answers `failed` with `aborted`, the rest `not_begun`.
   */
  close(): Promise<void>;

  /** Resolves when the process is gone for certain, and all of its output was read. */
  readonly ended: Promise<void>;
}
