import type { Clock } from "../backends/clock.ts";
import type { Readiness } from "./routes/door.ts";

/** What the service needs, asked now and then; each check throws a sentence that says what is wrong and how to mend it. */
export type HealthChecks = Readonly<Record<string, () => Promise<unknown>>>;

interface HealthLog {
  warn(sentence: string): void;
  info(sentence: string): void;
}

const EVERY_MS = 10_000;
/** What says nothing for so long counts as not working, however long its own tries go on. */
const SILENCE_MS = 20_000;

/** Knows what the service needs and does not get; a fault is logged when it comes and when it goes. */
export class HealthWatch {
  readonly #checks: HealthChecks;
  readonly #clock: Clock;
  readonly #log: HealthLog;
  readonly #faults = new Map<string, string>();
  #asked = false;

  constructor(checks: HealthChecks, clock: Clock, log: HealthLog) {
    this.#checks = checks;
    this.#clock = clock;
    this.#log = log;
  }

  readonly readiness = (): Readiness => {
    if (!this.#asked) return { kind: "starting", why: "it asks the store, the queues and the cluster." };
    if (this.#faults.size === 0) return { kind: "ready" };
    return { kind: "unwell", why: [...this.#faults.values()].map((fault) => fault.replace(/\.?$/, ".")).join(" ") };
  };

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.look(signal);
      await this.#clock.sleep(EVERY_MS, signal);
    }
  }

  /** Asks everything once. */
  async look(signal: AbortSignal = new AbortController().signal): Promise<void> {
    await Promise.all(Object.entries(this.#checks).map(([name, check]) => this.#ask(name, check, signal)));
    signal.throwIfAborted();
    this.#asked = true;
  }

  async #ask(name: string, check: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
    const answered = new AbortController();
    const silence = this.#clock.sleep(SILENCE_MS, AbortSignal.any([signal, answered.signal])).then(() => {
      throw new Error(`no answer within ${String(SILENCE_MS / 1000)} s; look at its network and its load`);
    });
    try {
      await Promise.race([check(), silence]);
      if (this.#faults.delete(name)) this.#log.info(`${name} answers again`);
    } catch (error) {
      if (signal.aborted) return;
      const sentence = `${name}: ${error instanceof Error ? error.message : String(error)}`;
      if (this.#faults.get(name) !== sentence) this.#log.warn(sentence);
      this.#faults.set(name, sentence);
    } finally {
      answered.abort();
    }
  }
}
