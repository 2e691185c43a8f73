import { LaneGone } from "../../backends/batch-queue.ts";
import type { DriverDeps } from "./context.ts";

/** Where drivers of this replica were cut off from pool or queue: until both answer there, it asks for no lane. */
export class CutOffs {
  readonly #deps: Pick<DriverDeps, "pool" | "queue">;
  readonly #lanes = new Set<string>();

  constructor(deps: Pick<DriverDeps, "pool" | "queue">) {
    this.#deps = deps;
  }

  /** `lane`: the queue's name for it. */
  add(lane: string): void {
    this.#lanes.add(lane);
  }

  /** Asks pool and queues again, where they did not answer; true when all do. */
  async areOver(): Promise<boolean> {
    for (const lane of this.#lanes) if (await this.#answers(lane)) this.#lanes.delete(lane);
    return this.#lanes.size === 0;
  }

  async #answers(lane: string): Promise<boolean> {
    try {
      await Promise.all([this.#deps.queue.probe(lane), this.#deps.pool.probe()]);
      return true;
    } catch (error) {
      return error instanceof LaneGone; // an answer as well; any other fault was told when the driver was cut off
    }
  }
}
