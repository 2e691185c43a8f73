/** Sends signals to processes of a system at random moments, all decided by a seed. */
import { setTimeout as sleep } from "node:timers/promises";

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

const ALL = TARGETS.flatMap(([target]) => DEEDS.map(([deed]): Blow => [target, deed]));

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

/** Where a soak finds what it strikes. */
export interface Targets {
  /** Living processes of a kind that may be struck now; `asleep`: what was done to those that are frozen just now. */
  pidsOf(target: Target, asleep: ReadonlyMap<number, Deed>, random: () => number): readonly number[];
}

export interface ChaosOptions {
  readonly seed: number;
  readonly targets: Targets;
  readonly now: () => number;
  /** Between two blows, milliseconds; default 50 to 500. */
  readonly pauseMs?: readonly [number, number];
  /** How long a long freeze lasts, milliseconds; default a laptop's lease and more. */
  readonly longFreezeMs?: readonly [number, number];
}

type Blow = readonly [target: Target, deed: Deed];

export class Chaos {
  readonly events: ChaosEvent[] = [];
  readonly #options: ChaosOptions;
  readonly #random: () => number;
  readonly #thaws = new Set<Promise<void>>();
  readonly #frozen = new Map<number, Deed>();
  #isOver = false;

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
  }

  /** How often each kind of blow has fallen; a kind that was not tried stands there with 0. */
  get blows(): ReadonlyMap<string, number> {
    const blows = new Map(ALL.map(([target, deed]) => [`${deed} ${target}`, 0]));
    for (const { target, deed } of this.events) {
      blows.set(`${deed} ${target}`, (blows.get(`${deed} ${target}`) ?? 0) + 1);
    }
    return blows;
  }

  /** The last blow has fallen, and nothing is frozen any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Goes on until the deadline (of `now`), then wakes what is frozen. Each kind of blow comes at least once: as long as one is
   * owed it goes on until `latest`, for on a busy machine processes may hardly live before they are struck.
   */
  async rage(deadline: number, latest = deadline): Promise<void> {
    const { now, pauseMs = PAUSE_MS } = this.#options;
    const oweAt = now() + (deadline - now()) / 3;
    try {
      while (now() < (this.#owed.length > 0 ? latest : deadline)) {
        await sleep(this.#between(pauseMs));
        const owed = now() > oweAt ? this.#owed : [];
        const choice = this.#random();
        if (owed.some((blow) => this.#strike(blow, choice)) || now() > deadline) continue;
        this.#strike([this.#pick(TARGETS), this.#pick(DEEDS)], choice);
      }
      await Promise.all(this.#thaws);
    } finally {
      this.#isOver = true;
    }
  }

  get #owed(): readonly Blow[] {
    const { blows } = this;
    return ALL.filter(([target, deed]) => blows.get(`${deed} ${target}`) === 0);
  }

  /** False: nobody was there to be struck. */
  #strike([target, deed]: Blow, choice: number): boolean {
    const pids = this.#options.targets.pidsOf(target, this.#frozen, this.#random).filter((pid) => {
      const asleep = this.#frozen.get(pid);
      return asleep === undefined || (asleep === "freeze" && deed === "kill");
    });
    const pid = pids[Math.floor(choice * pids.length)];
    if (pid === undefined) return false; // none of that kind lives just now
    const signal = deed === "kill" ? "SIGKILL" : deed === "terminate" ? "SIGTERM" : "SIGSTOP";
    if (!send(pid, signal)) return false;
    const { longFreezeMs = LONG_FREEZE_MS } = this.#options;
    const frozenMs = signal === "SIGSTOP" ? this.#between(deed === "freeze" ? FREEZE_MS : longFreezeMs) : 0;
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

  #pick<T>(choices: readonly (readonly [T, number])[]): T {
    let left = this.#random();
    for (const [choice, share] of choices) if ((left -= share) < 0) return choice;
    return choices[0]?.[0] as T;
  }

  #between([low, high]: readonly [number, number]): number {
    return low + this.#random() * (high - low);
  }
}

/** A line for people. */
export function told({ at, target, deed, pid, frozenMs }: ChaosEvent): string {
  const how = frozenMs > 0 ? ` for ${String(frozenMs)} ms` : "";
  return `${new Date(at).toISOString()} ${deed} ${target} ${String(pid)}${how}`;
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false; // it ended by itself
  }
}
