/** What a laptop's soak strikes: the service, the workers that it wrote down, and their handlers. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readProcessFile } from "../../../services/backends/process-files.ts";
import { isAlive, type ProcessIdentity } from "../../../services/backends/process-identity.ts";
import type { Deed, Target, Targets } from "./chaos.ts";

/** Of the blows on the service, those that come whatever it is at. */
const EARLY_SHARE = 0.2;

export interface LaptopTargetsOptions {
  readonly root: string;
  /** The living service, also one that has only just been spawned. */
  readonly service: () => number | undefined;
  /** Grows with every batch that a handler begins. */
  readonly progress: () => number;
}

export class LaptopTargets implements Targets {
  readonly #options: LaptopTargetsOptions;
  #seen = { pid: 0, progress: 0 };

  constructor(options: LaptopTargetsOptions) {
    this.#options = options;
  }

  pidsOf(target: Target, asleep: ReadonlyMap<number, Deed>, random: () => number): readonly number[] {
    const { root, service } = this.#options;
    const own = service();
    if (target === "service") {
      // who wakes late finds the service that it knew: its late record is what is tried
      if (own === undefined || [...asleep.values()].includes("long freeze")) return [];
      return random() < EARLY_SHARE || this.#hasWorked(own) ? [own] : [];
    }
    const files = workersOnFile(root).flatMap((worker) => readProcessFile(root, worker) ?? []);
    const named = target === "worker" ? files.map(({ worker }) => worker) : files.flatMap(({ handlers }) => handlers);
    return named.filter((identity: ProcessIdentity) => isAlive(identity)).map(({ pid }) => pid);
  }

  /** Something was run since this service was first seen: on a busy machine it would else never come so far. */
  #hasWorked(service: number): boolean {
    const progress = this.#options.progress();
    if (this.#seen.pid !== service) this.#seen = { pid: service, progress };
    return progress > this.#seen.progress;
  }
}

/** Names of the workers that may live under a root. */
export function workersOnFile(root: string): readonly string[] {
  try {
    const names = readdirSync(join(root, "processes")).filter((name) => name.endsWith(".json"));
    return names.map((name) => name.slice(0, -".json".length)).sort();
  } catch {
    return []; // no worker was started yet
  }
}
