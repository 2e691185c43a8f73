/**
 * Looks at what an API runs, now and then: a stack may have moved it, and its envelope may have changed. The environment of
 * what is current is built before a job wants it; code that was deployed gets the template that is declared.
 */
import type { Clock } from "../../backends/clock.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import type { DriverLog } from "../driver/context.ts";
import { readCurrent } from "./current.ts";
import type { TemplateRenewal } from "./template-renewal.ts";
import type { VersionEnvironments } from "./version-environments.ts";

export interface CodeWatchOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly log: DriverLog;
  /** APIs that are looked at. */
  readonly apis: () => Promise<readonly string[]>;
  readonly environments: Pick<VersionEnvironments, "readiness">;
  /** Absent where a stack owns the code: it writes its template with it. */
  readonly renewal?: Pick<TemplateRenewal, "look">;
}

const LOOK_MS = 15_000;

export class CodeWatch {
  readonly #options: CodeWatchOptions;
  /** By API: what was wrong at its last look, so that it is logged once. */
  readonly #troubles = new Map<string, string>();

  /** By API: the version that was found ready, and is asked for no more. */
  readonly #ready = new Map<string, string>();

  constructor(options: CodeWatchOptions) {
    this.#options = options;
  }

  /** Rejects with the signal's reason. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#apart("all APIs", signal, async () => {
        for (const api of await this.#options.apis()) await this.#apart(api, signal, () => this.#look(api, signal));
      });
      await this.#options.clock.sleep(LOOK_MS, signal);
    }
  }

  async #look(api: string, signal: AbortSignal): Promise<void> {
    const { store, environments, renewal } = this.#options;
    const current = await readCurrent(store, api);
    if (current === undefined) return;
    const { version } = current.value;
    if (this.#ready.get(api) !== version) {
      const { kind } = await environments.readiness(api, version); // begins what is missing; its jobs tell how that goes
      if (kind === "ready") this.#ready.set(api, version);
    }
    await renewal?.look(api, signal);
  }

  /** Nothing that fails here keeps a job from running: it is told to whoever runs the service, and tried again. */
  async #apart(what: string, signal: AbortSignal, step: () => Promise<void>): Promise<void> {
    try {
      await step();
      this.#troubles.delete(what);
    } catch (error) {
      signal.throwIfAborted();
      const sentence = error instanceof Error ? error.message : String(error);
      if (this.#troubles.get(what) !== sentence) {
        this.#options.log.warn({ at: what, err: error }, "a look at an API's code failed; it is tried again");
      }
      this.#troubles.set(what, sentence);
    }
  }
}
