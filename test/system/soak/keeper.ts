import { setTimeout as sleep } from "node:timers/promises";
import type { SystemUnderTest } from "../../support/a-system.ts";
import type { ChaosEvent } from "./chaos.ts";
import { laneStory, type LaneStory } from "./lanes.ts";

/** Keeps a service running: whatever ends it, it is started again. Remembers what each of them said. */
export class Keeper {
  pid: number | undefined;
  starts = 0;
  readonly #ends: (readonly [pid: number, how: number | string])[] = [];
  readonly #said: string[] = [];

  readonly onSpawned = (pid: number): void => {
    this.pid = pid;
    this.starts += 1;
  };

  async keep(system: SystemUnderTest, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      if (system.service.hasEnded()) await this.#start(system);
      await sleep(20);
    }
  }

  /** A service that has been answering since the last blow. */
  async settle(system: SystemUnderTest): Promise<void> {
    await sleep(200);
    while (system.service.hasEnded()) await this.#start(system);
    await system.request("/health/live");
  }

  /** Ends of the service that no blow explains. */
  ownEnds(events: readonly ChaosEvent[]): number {
    const told = new Set(events.filter(({ deed }) => deed === "kill" || deed === "terminate").map(({ pid }) => pid));
    return this.#ends.filter(([pid]) => !told.has(pid)).length;
  }

  lanes(system: SystemUnderTest): LaneStory {
    return laneStory([...this.#said, system.service.said()]);
  }

  letGo(): void {
    this.pid = undefined;
  }

  async #start(system: SystemUnderTest): Promise<void> {
    const { pid } = this;
    if (pid !== undefined) {
      this.#ends.push([pid, await system.service.ended]);
      this.#said.push(system.service.said());
    }
    this.pid = undefined;
    // it may be struck before it listens
    await system.restart().catch(() => undefined);
  }
}
