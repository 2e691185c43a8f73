import type { Clock } from "../../services/backends/clock.ts";
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

type Fate = "fine" | "slow" | "lost request" | "lost reply" | "late";

/**
 * One process of the cluster, and its clock. All that its program waits for comes through here: it may crash at each
 * wait, and then never goes on; or freeze, and go on later, while its calls that are under way happen without it.
 */
export class SimulatedProcess implements Clock {
  readonly name: string;
  readonly world: World;
  readonly #options: ProcessOptions;
  readonly #startedMs: number;
  /** Its wall clock is wrong by so much. */
  readonly #skewMs: number;
  #dead = false;
  #frozen = false;
  /** What reached it while it was frozen. */
  #missed: (() => void)[] = [];
  /** When it last went on after a freeze. */
  wokenAtMs = -Infinity;

  constructor(world: World, options: ProcessOptions) {
    this.world = world;
    this.name = options.name;
    this.#options = options;
    this.#startedMs = world.pace.integer(0, 1_000_000);
    this.#skewMs = world.pace.integer(-300_000, 300_000);
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
    return Date.UTC(2026, 0, 1) + this.world.nowMs + this.#skewMs;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      let over = false;
      const abort = () => {
        over = true;
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.world.timeline.after(milliseconds, () => {
        if (over) return;
        this.goOn(() => {
          if (over) return;
          signal?.removeEventListener("abort", abort);
          resolve();
        });
      });
    });
  }

  /** Goes on with something in this process: now, when it wakes, or never. */
  goOn(step: () => void): void {
    if (this.#dead) return;
    if (this.#frozen) this.#missed.push(step);
    else step();
  }

  /**
   * Calls something outside the process. The effect happens some time after the call, the answer comes some time after
   * the effect; either may be lost, or the process be gone.
   */
  call<T>(what: string, effect: () => Promise<T>): Promise<T> {
    const { world } = this;
    if (this.#dead) return new Promise<T>(() => undefined);
    const early = this.#mayDie(what);
    if (early === "before") return new Promise<T>(() => undefined);
    const fate = this.#fate();
    const travelMs = this.#travelMs(fate);
    return new Promise<T>((resolve, reject) => {
      const answer = (settle: () => void) => {
        world.timeline.after(this.#latencyMs(), () => {
          this.goOn(settle);
        });
      };
      const happen = (answered: boolean) => {
        world.tell(this.name, fate === "fine" ? what : `${what} (${fate})`);
        effect().then(
          (value) => {
            if (fate === "late") this.#countLate(what, value);
            if (answered) answer(() => resolve(value));
          },
          (error: unknown) => {
            if (fate === "late") this.#countLate(what, undefined);
            if (answered) answer(() => reject(error instanceof Error ? error : new Error(String(error))));
          },
        );
      };
      const answered = fate === "fine" || fate === "slow";
      if (fate !== "lost request") {
        world.timeline.after(travelMs, () => {
          happen(answered);
        });
      }
      if (!answered) this.#failLater(what, fate, reject);
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
    this.world.tell(this.name, `FREEZES for ${(milliseconds / 1000).toFixed(1)} s`);
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

  #failLater(what: string, fate: Fate, reject: (error: Error) => void): void {
    const { world } = this;
    world.count(`call: ${fate}`);
    world.timeline.after(world.pace.skewed(20, world.leaseMs), () => {
      this.goOn(() => {
        reject(new Unreachable(`${what}: no answer`));
      });
    });
  }

  /** A write that came too late to be one. */
  #countLate(what: string, answer: unknown): void {
    if (
      /^(swap|put|append) /.test(what) &&
      (answer === false || (answer === undefined && !what.startsWith("append")))
    ) {
      this.world.count("late write refused");
    }
  }

  #mayDie(what: string): "before" | "after" | "no" {
    const { rates, chance, leaseMs } = this.world;
    const { kind } = this.#options;
    if (kind === "client") return "no";
    if (chance.is(kind === "worker" ? rates.crashWorker : rates.crashReplica)) {
      if (chance.is(0.5)) {
        this.crash(`before ${what}`);
        return "before";
      }
      this.world.timeline.after(0, () => {
        this.crash(`during ${what}`);
      });
      return "after";
    }
    if (chance.is(rates.freeze)) this.freeze(chance.skewed(leaseMs / 4, leaseMs * 6));
    return "no";
  }

  #fate(): Fate {
    const { rates, chance } = this.world;
    if (this.#options.kind === "client") return "fine";
    if (chance.is(rates.lostRequest)) return "lost request";
    if (chance.is(rates.lostReply)) return "lost reply";
    if (chance.is(rates.late)) return "late";
    return chance.is(rates.slow) ? "slow" : "fine";
  }

  #travelMs(fate: Fate): number {
    const { chance, leaseMs } = this.world;
    if (fate === "late") return chance.skewed(100, leaseMs * 6);
    if (fate === "slow") return chance.skewed(100, leaseMs * 2);
    return this.#latencyMs();
  }

  #latencyMs(): number {
    return this.world.pace.skewed(0.5, 20);
  }
}
