/**
 * Removes from an API's keys what no live job and no kept record names. Any number of replicas do it side by side: each removal
 * may be done twice (docs/decisions/0027-what-the-janitor-may-remove.md).
 */
import type { Clock } from "../../backends/clock.ts";
import type { DriverLog } from "../driver/context.ts";
import { Allowance, AllowanceSpent } from "./allowance.ts";
import { CodeJanitor } from "./code.ts";
import { Expiry, type ExpiryOptions } from "./expiry.ts";
import { KeptJobs } from "./kept-jobs.ts";
import { Leftovers } from "./leftovers.ts";

export interface JanitorOptions extends ExpiryOptions {
  readonly clock: Clock;
  readonly log: DriverLog;
  /** APIs that are looked at. */
  readonly apis: () => Promise<readonly string[]>;
  /** Between two passes; also before the first one, so that a start has the store to itself. */
  readonly pauseMs: number;
  /** Calls of the store in one pass over one API; default 5,000. What is left to do is left to the next pass. */
  readonly callsMax?: number;
  /** What lies beside the store and goes by what the store says, such as environments on a laptop. */
  readonly beside?: (signal: AbortSignal) => Promise<void>;
}

const CALLS_MAX = 5_000;

export class Janitor {
  readonly #options: JanitorOptions;
  readonly #kept: KeptJobs;
  readonly #expiry: Expiry;
  readonly #leftovers: Leftovers;
  readonly #code: CodeJanitor;
  /** What was wrong at the last pass, by API, so that it is logged once. */
  readonly #troubles = new Map<string, string>();

  constructor(options: JanitorOptions) {
    this.#options = options;
    this.#kept = new KeptJobs(options.store);
    this.#expiry = new Expiry(options);
    this.#leftovers = new Leftovers(options.store);
    this.#code = new CodeJanitor(options.store, options.clock);
  }

  /** Passes until the signal aborts. Throws what a broken store throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, apis, beside, pauseMs } = this.#options;
    for (;;) {
      await clock.sleep(pauseMs, signal);
      await this.#apart("the list of APIs", signal, async () => {
        for (const api of await apis()) await this.pass(api, signal);
      });
      await this.#apart("what lies beside the store", signal, async () => beside?.(signal));
    }
  }

  /** One pass over an API. One part's trouble keeps the others from nothing. Answers how many objects were removed. */
  async pass(api: string, signal: AbortSignal): Promise<number> {
    const allowance = new Allowance(this.#options.callsMax ?? CALLS_MAX, signal);
    const list = () => this.#kept.list(api, allowance);
    await this.#apart(`jobs of ${api}`, signal, async () => {
      const jobs = await list();
      const damages = new Map(jobs.map(({ job, damage }) => [job, damage]));
      try {
        await this.#expiry.look(api, jobs, allowance, (job, message) => damages.set(job, message));
      } finally {
        for (const [job, damage] of damages) this.#tell(`${api}/${job}`, damage);
      }
      await this.#leftovers.look(api, jobs, allowance);
    });
    await this.#apart(`code of ${api}`, signal, () => this.#code.look(api, list, allowance));
    if (allowance.removed > 0)
      this.#options.log.info({ api, objects: allowance.removed }, "the janitor removed objects");
    return allowance.removed;
  }

  async #apart(what: string, signal: AbortSignal, step: () => Promise<unknown>): Promise<void> {
    try {
      await step();
      this.#tell(what, undefined);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Error) || error.name === "StoreBroken") throw error;
      if (!(error instanceof AllowanceSpent)) this.#tell(what, error.message);
    }
  }

  #tell(what: string, trouble: string | undefined): void {
    if (trouble === undefined) this.#troubles.delete(what);
    else if (this.#troubles.get(what) !== trouble) {
      this.#troubles.set(what, trouble);
      this.#options.log.warn(
        { at: what, trouble },
        "the janitor leaves this alone, and looks again at each later pass",
      );
    }
  }
}
