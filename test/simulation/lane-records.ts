import type { LaneRecord } from "../../services/protocol/lanes.ts";
import type { World } from "./world.ts";

/** I11: one job per epoch of a lane, one owner per term, and neither number ever falls. */
export class LaneRecords {
  readonly #world: World;
  readonly #records = new Map<string, LaneRecord>();
  readonly #owners = new Map<string, string>();
  readonly #epochs = new Map<string, string>();
  /** When an epoch of a lane came to its end, or to its stop. */
  readonly #closedAtMs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** When an epoch of a lane came to its end, or to its stop; undefined: not yet. */
  closedAtMs(lane: number, epoch: number): number | undefined {
    return this.#closedAtMs.get(`lanes/${String(lane)}.json ${String(epoch)}`);
  }

  moved(key: string, lane: LaneRecord): void {
    const before = this.#records.get(key);
    this.#records.set(key, lane);
    const name = (number: number) => `${key} ${String(number)}`;
    if (before !== undefined && (lane.term < before.term || lane.epoch < before.epoch))
      this.#world.broken(`I11: ${key} went back`);
    if (lane.owner !== "") {
      const owner = this.#owners.get(name(lane.term));
      if (owner !== undefined && owner !== lane.owner)
        this.#world.broken(`I11: term ${name(lane.term)} had two owners`);
      this.#owners.set(name(lane.term), lane.owner);
    }
    if (lane.job !== null) {
      const job = this.#epochs.get(name(lane.epoch));
      if (job !== undefined && job !== lane.job) this.#world.broken(`I11: epoch ${name(lane.epoch)} had two jobs`);
      this.#epochs.set(name(lane.epoch), lane.job);
    }
    const closes = before !== undefined && (lane.stop || lane.job !== before.job || lane.epoch !== before.epoch);
    const epoch = name(before?.epoch ?? 0);
    if (closes && !this.#closedAtMs.has(epoch)) this.#closedAtMs.set(epoch, this.#world.nowMs);
    if (lane.job === null || lane.job !== before?.job) return;
    if (lane.term > before.term) this.#world.count("takeover");
    if (lane.epoch > before.epoch) this.#world.count("lane granted anew");
  }
}
