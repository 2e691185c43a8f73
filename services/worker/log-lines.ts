import type { Clock } from "../backends/clock.ts";
import type { LogLine, LogStore } from "../backends/log-store.ts";

/** Lines go out in groups, at least this often. */
const FLUSH_MS = 200;
const LINES_HELD = 1_000;

/** One worker's lines on their way to the log store. Logs are not part of the truth: what cannot be written is dropped. */
export class LogLines {
  readonly #logs: LogStore;
  readonly #clock: Clock;
  readonly #job: string;
  readonly #worker: string;
  #lines: LogLine[] = [];
  #tail: Promise<void> = Promise.resolve();
  #waits = false;

  constructor(logs: LogStore, clock: Clock, job: string, worker: string) {
    this.#logs = logs;
    this.#clock = clock;
    this.#job = job;
    this.#worker = worker;
  }

  add(from: LogLine["from"], text: string, batch?: number): void {
    const line = { at: this.#clock.wallMs(), worker: this.#worker, from, text };
    this.#lines.push(batch === undefined ? line : { ...line, batch });
    if (this.#lines.length >= LINES_HELD) void this.flush();
    else void this.#later();
  }

  /** Resolves when all lines so far are handed over, or given up. */
  flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) {
      this.#tail = this.#tail.then(() => this.#logs.append(this.#job, this.#worker, lines)).catch(() => undefined); // a log that cannot be written must not stop the work
    }
    return this.#tail;
  }

  async #later(): Promise<void> {
    if (this.#waits) return;
    this.#waits = true;
    await this.#clock.sleep(FLUSH_MS);
    this.#waits = false;
    await this.flush();
  }
}
