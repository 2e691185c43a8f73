import type { RunMeta } from "../../services/protocol/frames.ts";
import type { AttemptCause, Handler, Ready, RunAnswer } from "../../services/worker/handlers/handler.ts";
import type { Deed } from "./handler-script.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** What a handler does, decided elsewhere at each call. */
export interface Deeds {
  run(meta: RunMeta, items: Buffer): { readonly deed: Deed; readonly milliseconds: number };
  complete(): { readonly deed: Deed; readonly milliseconds: number };
  /** The hook has run to its end. */
  completed(): void;
  /** A batch has run to its end. */
  ran(meta: RunMeta): void;
}

/** Asked more often, its worker turns in a circle. */
const REFUSALS_MAX = 200;

type KillCause = Extract<AttemptCause, "timed_out" | "aborted" | "out_of_memory">;

/** A handler process of a simulated worker. It answers each batch with its own items as results. */
export class SimulatedHandler implements Handler {
  readonly ended: Promise<void>;
  readonly #process: SimulatedProcess;
  readonly #deeds: Deeds;
  readonly #hook: boolean;
  readonly #end = new AbortController();
  #resolveEnded: () => void = () => undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #cause: KillCause | "exited" | undefined;
  #refusals = 0;

  constructor(process: SimulatedProcess, deeds: Deeds, hook: boolean) {
    this.#process = process;
    this.#deeds = deeds;
    this.#hook = hook;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  start(): Promise<Ready> {
    return Promise.resolve({ hook: this.#hook });
  }

  run(meta: RunMeta, items: Buffer, begun?: () => void): Promise<RunAnswer> {
    return this.#inTurn(async () => {
      const parsed = parseItems(items, meta.items);
      if (parsed === undefined) return { kind: "bad_items" };
      begun?.();
      const { deed, milliseconds } = this.#deeds.run(meta, items);
      const answer = await this.#do(deed, milliseconds, `batch ${String(meta.first)}+${String(meta.items)}`);
      if (answer !== undefined) return answer;
      this.#deeds.ran(meta);
      const rows = parsed.map((result, at) => `${JSON.stringify({ index: meta.first + at, result })}\n`);
      return { kind: "done", rows: rows.length, bytes: Buffer.from(rows.join("")) };
    });
  }

  complete(): Promise<RunAnswer> {
    return this.#inTurn(async () => {
      const { deed, milliseconds } = this.#deeds.complete();
      const answer = await this.#do(deed, milliseconds, "on_job_complete");
      if (answer !== undefined) return answer;
      this.#deeds.completed();
      return { kind: "done", rows: null, bytes: Buffer.alloc(0) };
    });
  }

  tellTotalBatches(): void {}

  kill(cause: KillCause): void {
    this.#over(cause);
  }

  close(): Promise<void> {
    this.#over("aborted");
    return this.ended;
  }

  #inTurn(run: () => Promise<RunAnswer>): Promise<RunAnswer> {
    const answer = this.#tail.then(() => (this.#cause === undefined ? run() : this.#beginNothing()));
    this.#tail = answer;
    return answer;
  }

  #beginNothing(): Promise<RunAnswer> {
    this.#refusals += 1;
    if (this.#refusals < REFUSALS_MAX) return Promise.resolve({ kind: "not_begun" });
    this.#process.world.broken(`${this.#process.name} asks a handler that has ended again and again`);
    return new Promise(() => undefined);
  }

  /** Undefined: it went well. */
  async #do(deed: Deed, milliseconds: number, what: string): Promise<RunAnswer | undefined> {
    try {
      this.#process.world.tell(this.#process.name, () => `handler begins ${what}: will ${deed}`);
      await this.#process.sleep(deed === "hang" ? 1e9 : milliseconds, this.#end.signal);
    } catch {
      return failed(this.#cause ?? "exited"); // killed meanwhile
    }
    if (deed === "succeed") return undefined;
    if (deed === "raise") return failed("raised");
    if (deed === "exit") {
      this.#over("exited");
      return failed("exited");
    }
    this.#process.crash("killed by its handler");
    return new Promise(() => undefined);
  }

  #over(cause: KillCause | "exited"): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#end.abort(new Error(cause));
    void this.#process.sleep(2).then(this.#resolveEnded);
  }
}

function failed(cause: AttemptCause): RunAnswer {
  return { kind: "failed", cause, error: `it ${cause}`, traceback: "" };
}

function parseItems(items: Buffer, count: number): unknown[] | undefined {
  try {
    const parsed = JSON.parse(items.toString("utf8")) as unknown[];
    return parsed.length === count ? parsed : undefined;
  } catch {
    return undefined; // that is the answer
  }
}
