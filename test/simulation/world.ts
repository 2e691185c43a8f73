import type { Chance } from "./chance.ts";
import { NO_FAULTS, type FaultRates } from "./faults.ts";
import { Story, type Words } from "./story.ts";
import { Timeline } from "./timeline.ts";

/** How much is told of a run; what happens in it is the same. */
export interface Telling {
  readonly told: boolean;
  readonly exact: boolean;
}

const EVERYTHING: Telling = { told: true, exact: true };

/** What all parts of a simulated cluster share. */
export class World {
  readonly timeline: Timeline;
  readonly story: Story;
  readonly chance: Chance;
  /** Draws of the scheduler: how long things take. */
  readonly pace: Chance;
  readonly leaseSeconds: number;
  #rates: FaultRates;
  #chosenRates: FaultRates;

  /** `telling`: see Story and Timeline. */
  constructor(chance: Chance, rates: FaultRates, leaseSeconds: number, telling: Telling = EVERYTHING) {
    this.timeline = new Timeline(telling.exact);
    this.story = new Story(telling.told);
    this.chance = chance;
    this.pace = chance.fork();
    this.#rates = rates;
    this.#chosenRates = rates;
    this.leaseSeconds = leaseSeconds;
  }

  get nowMs(): number {
    return this.timeline.nowMs;
  }

  get leaseMs(): number {
    return this.leaseSeconds * 1000;
  }

  get rates(): FaultRates {
    return this.#rates;
  }

  /** What this seed was given, also once the faults have ended. */
  get chosenRates(): FaultRates {
    return this.#chosenRates;
  }

  get calm(): boolean {
    return this.#rates === NO_FAULTS;
  }

  /** From now on nothing goes wrong any more. */
  endFaults(): void {
    this.#rates = NO_FAULTS;
  }

  tell(who: string, what: Words): void {
    this.story.tell(this.nowMs, who, what);
  }

  broken(problem: string): void {
    this.story.broken(this.nowMs, problem);
  }

  count(what: string): void {
    this.story.count(what);
  }
}
