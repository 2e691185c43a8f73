import type { Clock } from "../../services/backends/clock.ts";
import { textOf, type Words } from "./story.ts";
import type { World } from "./world.ts";

/** A call that did not work out, as far as its caller can tell. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export interface ProcessOptions {
  readonly kind: "replica" | "worker" | "client";
  readonly name: string;
  readonly onCrash?: (why: string) => void;
}

/** How often a copy is fresh enough to answer. */
const COPY_ANSWERS = 0.75;

/** What befalls a call. */
type Fault = "fine" | "crash" | "freeze" | "slow" | "lost request" | "lost reply" | "late";

/**
 * One process of the cluster, and its clock. All that its program waits for comes through here: it may crash at each
 * wait, and then never goes on; or freeze, and go on later, while its calls that are under way happen without it.
 */
export class SimulatedProcess implements Clock {
  readonly name: string;
  readonly world: World;
  readonly #options: ProcessOptions;
  readonly #startedMs: number;
  /** Its wall clock is wrong by so much, and by something else from some time on. */
  readonly #skewMs: readonly [number, number];
  readonly #jumpAtMs: number;
  #dead = false;
  #frozen = false;
  /** Who sleeps until a signal aborts, at the latest. */
  readonly #sleepers = new WeakMap<AbortSignal, Set<() => void>>();
  /** What reached it while it was frozen. */
  #missed: (() => void)[] = [];
  /** How often both ways of a call take time; each is an event more. */
  protected readonly bothTakeTime: number = 0.1;
  /** When it last went on after a freeze. */
  wokenAtMs = -Infinity;

  constructor(world: World, options: ProcessOptions) {
    this.world = world;
    this.name = options.name;
    this.#options = options;
    this.#startedMs = world.pace.integer(0, 1_000_000);
    this.#skewMs = [world.pace.integer(-300_000, 300_000), world.pace.integer(-300_000, 300_000)];
    this.#jumpAtMs = world.nowMs + world.pace.skewed(500, 60_000);
  }

  get isDead(): boolean {
    return this.#dead;
  }

  get isFrozen(): boolean {
    return this.#frozen;
  }

  monotonicMs(): number {
    return this.world.nowMs + this.#startedMs;
  }

  wallMs(): number {
    const skewMs = this.#skewMs[this.world.nowMs < this.#jumpAtMs ? 0 : 1];
    return Date.UTC(2026, 0, 1) + this.world.nowMs + skewMs;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      let over = false;
      const wake = () => {
        if (over) return;
        over = true;
        if (signal !== undefined) this.#sleepers.get(signal)?.delete(abort);
        resolve();
      };
      const abort = () => {
        over = true;
        reject(signal?.reason as Error);
      };
      if (signal !== undefined) this.#sleepersOf(signal).add(abort);
      this.world.timeline.after(milliseconds, () => {
        if (!over) this.goOn(wake);
      });
    });
  }

  /** One listener for all that sleep on a signal: they come and go by the thousand. */
  #sleepersOf(signal: AbortSignal): Set<() => void> {
    const known = this.#sleepers.get(signal);
    if (known !== undefined) return known;
    const sleepers = new Set<() => void>();
    this.#sleepers.set(signal, sleepers);
    signal.addEventListener("abort", () => { for (const abort of sleepers) abort(); }, { once: true }); // prettier-ignore
    return sleepers;
  }

  /** Goes on with something in this process: now, when it wakes, or never. */
  goOn(step: () => void): void {
    if (this.#dead) return;
    if (this.#frozen) this.#missed.push(step);
    else step();
  }

  /**
   * Calls something outside the process. The effect happens some time after the call, the answer comes some time after
   * the effect; either may be lost, or the process be gone. `isRefusal`: of a write, that the answer says it came to nothing.
   */
  call<T>(what: Words, effect: () => Promise<T>, isRefusal?: (answer: T) => boolean): Promise<T> {
    if (this.#dead) return never();
    const fault = this.#fault();
    if (fault === "fine") return this.#callWell(what, effect);
    if (fault === "crash") {
      if (this.world.chance.is(0.5)) {
        this.crash(`before ${textOf(what)}`);
        return never();
      }
      this.world.timeline.after(0, () => {
        this.crash(`during ${textOf(what)}`);
      });
      return this.#callWell(what, effect);
    }
    if (fault === "freeze") {
      const milliseconds = this.world.chance.skewed(this.world.leaseMs / 4, this.world.leaseMs * 6);
      const verb = textOf(what).split(" ")[0] ?? "";
      if (milliseconds > this.world.leaseMs) this.world.count(`frozen for a lease at: ${verb}`);
      this.freeze(milliseconds);
      // It has left already, or it leaves when the process wakes, long after what it was decided by.
      if (this.world.chance.is(0.5)) return this.#callWell(what, effect);
      return new Promise((resolve) => this.goOn(() => { resolve(this.#callWell(what, effect)); })); // prettier-ignore
    }
    return this.#callBadly(fault, what, effect, isRefusal);
  }

  /** Looks at what a copy in its own memory mostly tells at once, as the pool's mirror does; else as `call`. */
  look<T>(what: Words, effect: () => T): Promise<T> {
    if (this.#dead || !this.world.pace.is(COPY_ANSWERS)) return this.call(what, () => Promise.resolve(effect()));
    return Promise.resolve(effect());
  }

  /** Effect and answer come one after the other, or either of them without delay: any other call may come between. */
  #callWell<T>(what: Words, effect: () => Promise<T>): Promise<T> {
    const { world } = this;
    const draw = world.pace.fraction();
    const apart = 1 - this.bothTakeTime;
    const split = draw < apart / 2 ? 0 : draw < apart ? 1 : 2;
    return new Promise<T>((resolve, reject) => {
      const answer = (settle: () => void) => {
        if (split === 0) this.goOn(settle);
        else world.timeline.after(this.#latencyMs(), () => { this.goOn(settle); }); // prettier-ignore
      };
      const happen = () => {
        world.tell(this.name, what);
        effect().then(
          (value) => answer(() => { resolve(value); }), // prettier-ignore
          (error: unknown) => answer(() => { reject(asError(error)); }), // prettier-ignore
        );
      };
      if (split === 1) happen();
      else world.timeline.after(this.#latencyMs(), happen);
    });
  }

  #callBadly<T>(
    fault: Exclude<Fault, "fine" | "crash" | "freeze">,
    what: Words,
    effect: () => Promise<T>,
    isRefusal?: (answer: T) => boolean,
  ): Promise<T> {
    const { world } = this;
    world.count(`call: ${fault}`);
    return new Promise<T>((resolve, reject) => {
      const answer = (settle: () => void) => {
        if (fault === "slow") world.timeline.after(this.#latencyMs(), () => { this.goOn(settle); }); // prettier-ignore
      };
      const happen = () => {
        world.tell(this.name, () => `${textOf(what)} (${fault})`);
        effect().then(
          (value) => {
            if (fault === "late" && isRefusal?.(value) === true) world.count("late write refused");
            answer(() => { resolve(value); }); // prettier-ignore
          },
          (error: unknown) => {
            if (fault === "late" && isRefusal !== undefined) world.count("late write refused");
            answer(() => { reject(asError(error)); }); // prettier-ignore
          },
        );
      };
      if (fault !== "lost request") world.timeline.after(this.#travelMs(fault), happen);
      if (fault !== "slow") this.#failLater(what, reject);
    });
  }

  /** Ends it at once: nothing of it goes on. */
  crash(why: string): void {
    if (this.#dead) return;
    this.end();
    this.world.tell(this.name, `CRASHES ${why}`);
    this.#options.onCrash?.(why);
  }

  /** It has ended by itself. */
  end(): void {
    this.#dead = true;
    this.#missed = [];
  }

  freeze(milliseconds: number): void {
    if (this.#dead || this.#frozen) return;
    this.#frozen = true;
    this.world.tell(this.name, () => `FREEZES for ${(milliseconds / 1000).toFixed(1)} s`);
    this.world.timeline.after(milliseconds, () => {
      this.wake();
    });
  }

  wake(): void {
    if (this.#dead || !this.#frozen) return;
    this.#frozen = false;
    this.wokenAtMs = this.world.nowMs;
    this.world.tell(this.name, "WAKES");
    const missed = this.#missed;
    this.#missed = [];
    // one after the other, each with all that follows from it
    for (const step of missed) this.world.timeline.after(0, () => { this.goOn(step); }); // prettier-ignore
  }

  #failLater(what: Words, reject: (error: Error) => void): void {
    const { world } = this;
    world.timeline.after(world.pace.skewed(20, world.leaseMs), () => {
      this.goOn(() => {
        reject(new Unreachable(`${textOf(what)}: no answer`));
      });
    });
  }

  /** What befalls a call: one draw for all. */
  #fault(): Fault {
    const { rates, chance } = this.world;
    const { kind } = this.#options;
    if (kind === "client" || this.world.calm) return "fine";
    let draw = chance.fraction();
    if ((draw -= kind === "worker" ? rates.crashWorker : rates.crashReplica) < 0) return "crash";
    if ((draw -= rates.freeze) < 0) return "freeze";
    if ((draw -= rates.lostRequest) < 0) return "lost request";
    if ((draw -= rates.lostReply) < 0) return "lost reply";
    if ((draw -= rates.late) < 0) return "late";
    return draw - rates.slow < 0 ? "slow" : "fine";
  }

  #travelMs(fault: Fault): number {
    const { chance, leaseMs } = this.world;
    if (fault === "late") return chance.skewed(100, leaseMs * 24); // two minutes
    if (fault === "slow") return chance.skewed(100, leaseMs * (chance.is(0.1) ? 12 : 2)); // at most a minute
    return this.#latencyMs();
  }

  #latencyMs(): number {
    return this.world.pace.skewed(0.5, 20);
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
