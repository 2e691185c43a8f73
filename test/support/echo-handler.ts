import type { RunMeta } from "../../services/protocol/frames.ts";
import type { Handler, Ready, RunAnswer } from "../../services/worker/handlers/handler.ts";

const NOT_BEGUN: RunAnswer = { kind: "not_begun" };

/** A handler without a process, which answers at once: each item is its own result. */
export class EchoHandler implements Handler {
  readonly ended: Promise<void>;
  #end: () => void = () => undefined;
  #gone = false;

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  start(): Promise<Ready> {
    return Promise.resolve({ hook: true });
  }

  run({ first }: RunMeta, items: Buffer, begun?: () => void): Promise<RunAnswer> {
    if (this.#gone) return Promise.resolve(NOT_BEGUN);
    begun?.();
    let results: readonly unknown[];
    try {
      results = JSON.parse(items.toString("utf8")) as readonly unknown[];
    } catch {
      return Promise.resolve({ kind: "bad_items" }); // as the Python host says
    }
    const rows = results.map((result, at) => `${JSON.stringify({ index: first + at, result })}\n`);
    return Promise.resolve({ kind: "done", rows: rows.length, bytes: Buffer.from(rows.join("")) });
  }

  complete(): Promise<RunAnswer> {
    return Promise.resolve(this.#gone ? NOT_BEGUN : { kind: "done", rows: null, bytes: Buffer.alloc(0) });
  }

  tellTotalBatches(): void {}

  kill(): void {
    this.#gone = true;
    this.#end();
  }

  close(): Promise<void> {
    this.kill();
    return this.ended;
  }
}
