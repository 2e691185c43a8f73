import type { Dependencies } from "../project/environment-key.ts";
import type { ProjectFiles } from "../project/project-files.ts";
import type { Clock } from "./clock.ts";
import type { Environments } from "./environments.ts";

/** From the answer of a build to the version that names it: milliseconds, were the process never frozen. */
const RECENT_MS = 3600_000;

/** Knows which environments this process has built or found lately: a version that names them may be about to be written. */
export class RecentEnvironments implements Environments {
  readonly #built: Environments;
  readonly #clock: Clock;
  readonly #answeredMs = new Map<string, number>();
  #building = 0;

  constructor(built: Environments, clock: Clock) {
    this.#built = built;
    this.#clock = clock;
  }

  async build(
    files: ProjectFiles,
    dependencies: Dependencies,
    progress: (sentence: string) => void,
    signal?: AbortSignal,
  ): Promise<string | null> {
    this.#building += 1;
    try {
      const key = await this.#built.build(files, dependencies, progress, signal);
      if (key !== null) this.#answeredMs.set(key, this.#clock.monotonicMs());
      return key;
    } finally {
      this.#building -= 1;
    }
  }

  /** While one is built it is not known which. */
  isRecent(key: string): boolean {
    return this.#building > 0 || this.#clock.monotonicMs() - (this.#answeredMs.get(key) ?? -Infinity) < RECENT_MS;
  }
}
