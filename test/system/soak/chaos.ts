/** Sends signals to processes of a system at random moments, all decided by a seed. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, readProcessFile, type ProcessIdentity } from "../../../services/backends/process-files.ts";

export type Target = "service" | "worker" | "handler";
export type Deed = "kill" | "terminate" | "freeze" | "long freeze";

export interface ChaosEvent {
  /** Unix milliseconds, as the handlers' own notes. */
  readonly at: number;
  readonly target: Target;
  readonly deed: Deed;
  readonly pid: number;
  /** How long it was frozen, milliseconds. */
  readonly frozenMs: number;
}

/** Longer than two leases of the laptop's 5 s leave no doubt; one and a bit is where the races are. */
const LONG_FREEZE_MS = [5_200, 7_500] as const;
const FREEZE_MS = [20, 900] as const;
const PAUSE_MS = [50, 500] as const;

/** Of the blows on the service, those that come whatever it is at. */
const EARLY_SHARE = 0.2;

const TARGETS: readonly (readonly [Target, number])[] = [
  ["handler", 0.45],
  ["worker", 0.3],
  ["service", 0.25],
];
const DEEDS: readonly (readonly [Deed, number])[] = [
  ["kill", 0.5],
  ["freeze", 0.3],
  ["terminate", 0.14],
  ["long freeze", 0.06],
];

/** Uniform in [0, 1), the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface ChaosOptions {
  readonly seed: number;
  readonly root: string;
  /** The living service, also one that has only just been spawned. */
  readonly service: () => number | undefined;
  /** Grows with every batch that a handler begins. */
  readonly progress: () => number;
  readonly now: () => number;
}

export class Chaos {
  readonly events: ChaosEvent[] = [];
  readonly #options: ChaosOptions;
  readonly #random: () => number;
  readonly #thaws = new Set<Promise<void>>();
  readonly #frozen = new Map<number, Deed>();
  #seen = { pid: 0, progress: 0 };

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
  }

  /** Goes on until the deadline (of `now`), then wakes what is frozen. */
  async rage(deadline: number): Promise<void> {
    const { now } = this.#options;
    const longAt = now() + (deadline - now()) / 3;
    for (let frozeLong = false; now() < deadline;) {
      await sleep(this.#between(PAUSE_MS));
      // once for certain: a service that sleeps through its own leases
      if (!frozeLong && now() > longAt) frozeLong = this.#strike("service", "long freeze", 0, LONG_FREEZE_MS[1]);
      const target = this.#pick(TARGETS);
      const deed = this.#pick(DEEDS);
      const choice = this.#random();
      const frozenMs = deed === "freeze" ? this.#between(FREEZE_MS) : this.#between(LONG_FREEZE_MS);
      this.#strike(target, deed, choice, deed.endsWith("freeze") ? frozenMs : 0);
    }
    await Promise.all(this.#thaws);
  }

  /** False: nobody was there to be struck. */
  #strike(target: Target, deed: Deed, choice: number, frozenMs: number): boolean {
    const pids = this.#pidsOf(target).filter((pid) => {
      const asleep = this.#frozen.get(pid);
      return asleep === undefined || (asleep === "freeze" && deed === "kill");
    });
    const pid = pids[Math.floor(choice * pids.length)];
    if (pid === undefined) return false; // none of that kind lives just now
    const signal = deed === "kill" ? "SIGKILL" : deed === "terminate" ? "SIGTERM" : "SIGSTOP";
    if (!send(pid, signal)) return false;
    this.events.push({ at: this.#options.now(), target, deed, pid, frozenMs: Math.round(frozenMs) });
    if (signal === "SIGSTOP") this.#thawLater(pid, deed, frozenMs);
    return true;
  }

  #thawLater(pid: number, deed: Deed, milliseconds: number): void {
    this.#frozen.set(pid, deed);
    const thaw = sleep(milliseconds).then(() => {
      this.#frozen.delete(pid);
      this.#thaws.delete(thaw);
      send(pid, "SIGCONT");
    });
    this.#thaws.add(thaw);
  }

  #pidsOf(target: Target): readonly number[] {
    const { root, service } = this.#options;
    const own = service();
    if (target === "service") {
      // who wakes late finds the service that it knew: its late record is what is tried
      if ([...this.#frozen.values()].includes("long freeze")) return [];
      const hit = own !== undefined && (this.#random() < EARLY_SHARE || this.#hasWorked(own));
      return hit ? [own] : [];
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

  #pick<T>(choices: readonly (readonly [T, number])[]): T {
    let left = this.#random();
    for (const [choice, share] of choices) if ((left -= share) < 0) return choice;
    return choices[0]?.[0] as T;
  }

  #between([low, high]: readonly [number, number]): number {
    return low + this.#random() * (high - low);
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

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // it ended by itself
  }
}
