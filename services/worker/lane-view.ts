import type { Clock } from "../backends/clock.ts";
import type { ObjectStore } from "../backends/object-store.ts";
import { apiKeys, jobKeys } from "../protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../protocol/lanes.ts";
import type { Message } from "../protocol/messages.ts";
import { DamagedObject, parseStored } from "../protocol/stored.ts";
import type { WorkerIdentity } from "./context.ts";

/** What the lane record says to this worker. */
export type LaneWord =
  /** Go on. */
  | "work"
  /** No more work for this index: leave once empty-handed. */
  | "leave"
  /** The lane says stop, or names another job or epoch: abort. */
  | "abort";

/** In which grant of the lane a message was sent: this worker's, an earlier one, a later one. */
export type Sent = "now" | "before" | "after";

/** The worker's view of its lane record, as fresh as its last good read. */
export class LaneView {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #identity: WorkerIdentity;
  #record: LaneRecord = EMPTY_LANE;
  #readAtMs = -Infinity;
  readonly #leaseMs: number;
  #splitEnded = false;

  constructor(store: ObjectStore, clock: Clock, identity: WorkerIdentity, leaseMs: number) {
    this.#leaseMs = leaseMs;
    this.#store = store;
    this.#clock = clock;
    this.#identity = identity;
  }

  get hand(): number {
    return this.#record.hand;
  }

  get beat(): number {
    return this.#record.beat;
  }

  /** Workers of the job that stood down. */
  get stoodDown(): number {
    return this.#record.stood_down ?? 0;
  }

  ageMs(): number {
    return this.#clock.monotonicMs() - this.#readAtMs;
  }

  /** Reads the record; what it says from now on. A read that fails throws and leaves the last word standing. */
  async read(): Promise<LaneWord> {
    await this.#fetch();
    if (!this.#isOurs() || this.#record.stop) return "abort";
    return (await this.#isWanted()) ? "work" : "leave";
  }

  /**
   * Epochs begin anew where somebody has removed the lane's record, and what was sent before that may come yet, under any epoch.
   * So what does not name this job in this epoch is judged by the record as it is now: while it is ours, nothing newer was sent.
   */
  async sent({ epoch, job }: Message): Promise<Sent> {
    const ours = this.#identity;
    if (epoch < ours.epoch) return "before";
    if (epoch === ours.epoch && job === ours.job) return "now";
    return (await this.#fetch()) && this.#isOurs() ? "before" : "after";
  }

  #isOurs(): boolean {
    const { job, epoch } = this.#identity;
    return this.#record.job === job && this.#record.epoch === epoch;
  }

  /** False: the record is damaged, and its last word stands. */
  async #fetch(): Promise<boolean> {
    const { api, lane } = this.#identity;
    const startedMs = this.#clock.monotonicMs();
    const found = await this.#store.read(apiKeys(api).lane(lane));
    const record = found === undefined ? EMPTY_LANE : this.#parsed(found.bytes);
    if (record === undefined) return false;
    this.#record = record; // without one nobody owns the job: as good as another job's
    this.#readAtMs = startedMs;
    return true;
  }

  /** Undefined for a record that is damaged: its owner overwrites it with the next beat, and its last word stands for a lease. */
  #parsed(bytes: Buffer): LaneRecord | undefined {
    try {
      return parseStored<LaneRecord>(apiKeys(this.#identity.api).lane(this.#identity.lane), bytes);
    } catch (error) {
      if (error instanceof DamagedObject && this.ageMs() < this.#leaseMs) return undefined;
      throw error;
    }
  }

  /** Nobody leaves before the split has ended: more work may come. */
  async #isWanted(): Promise<boolean> {
    const { api, job, generation, index } = this.#identity;
    if (index < (this.#record.keep[String(generation)] ?? 0)) return true;
    this.#splitEnded ||= (await this.#store.size(jobKeys(api, job).splitEnd)) !== undefined;
    return !this.#splitEnded;
  }
}
