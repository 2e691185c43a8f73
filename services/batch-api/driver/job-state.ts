import type { ObjectStore } from "../../backends/object-store.ts";
import type { StateRecord } from "../../protocol/jobs.ts";
import { isFinal } from "../../protocol/states.ts";
import { DamagedObject } from "../../protocol/stored.ts";
import { readState, swapState, type StateChange, type StoredState } from "../jobs/state-record.ts";
import { Deposed, readLane } from "./lane-lease.ts";

export interface StateOwner {
  readonly lane: number;
  readonly epoch: number;
  readonly term: number;
}

/** The driver's hand on its job's state: every write is compare-and-swap and names lane, epoch and term. */
export class JobState {
  readonly #store: ObjectStore;
  readonly #api: string;
  readonly #job: string;
  readonly #owner: StateOwner;
  #stored: StoredState;

  private constructor(store: ObjectStore, api: string, job: string, owner: StateOwner, stored: StoredState) {
    this.#store = store;
    this.#api = api;
    this.#job = job;
    this.#owner = owner;
    this.#stored = stored;
  }

  static async read(store: ObjectStore, api: string, job: string, owner: StateOwner): Promise<JobState> {
    return new JobState(store, api, job, owner, await readState(store, api, job));
  }

  get record(): StateRecord {
    return this.#stored.state;
  }

  /**
   * Writes a change made from the record as it then is; a lost race is tried again on the newer record.
   * `change` answers undefined when the newer record leaves nothing to do. Throws `Deposed` when the job is not ours any more.
   */
  async write(change: (record: StateRecord) => StateChange | undefined): Promise<StateRecord> {
    for (;;) {
      this.#judge(); // also what was read at first: a newer driver may have written before that
      const wanted = change(this.#stored.state);
      if (wanted === undefined) return this.#stored.state;
      const lane = this.#owner;
      const swapped = await swapState(this.#store, this.#api, this.#job, this.#stored, { ...wanted, lane });
      if (swapped !== undefined) {
        this.#stored = swapped;
        return swapped.state;
      }
      this.#stored = await this.#readAgain();
      // Found ours: an earlier write that failed, as far as we could tell, had landed; this change goes on top of it.
      if (!this.#isOurs && (await this.livesElsewhere())) throw new Deposed(`job ${this.#job} has another lane`);
    }
  }

  /** What was removed or damaged is written anew from what we know: while the lane is ours nobody knows more. */
  async #readAgain(): Promise<StoredState> {
    const { state } = this.#stored;
    try {
      const found = await readState(this.#store, this.#api, this.#job);
      return found.version === undefined ? { state, version: undefined } : found;
    } catch (error) {
      if (!(error instanceof DamagedObject)) throw error;
      return { state, version: (await this.#store.read(error.key))?.version };
    }
  }

  /** Two replicas may have granted the same job two lanes; who comes second gives way, though the first may have left its lane since. */
  async livesElsewhere(): Promise<boolean> {
    const named = this.#stored.state.lane;
    if (named === null || named.lane === this.#owner.lane) return false;
    if (named.epoch >= this.#owner.epoch) return true;
    const other = await readLane(this.#store, this.#api, named.lane);
    return other?.record.job === this.#job && other.record.epoch === named.epoch;
  }

  get #isOurs(): boolean {
    const { lane } = this.#stored.state;
    const { lane: number, epoch, term } = this.#owner;
    return lane?.lane === number && lane.epoch === epoch && lane.term === term;
  }

  /** Throws when the record says that this driver has no say any more. */
  #judge(): void {
    if (this.#isOurs) return;
    const { state, lane } = this.#stored.state;
    if (isFinal(state)) throw new Deposed(`job ${this.#job} is final already: ${state}`);
    // A job's epochs rise with each of its lanes, a lane's terms through all of its epochs.
    const isOlder =
      lane?.lane === this.#owner.lane ? lane.term > this.#owner.term : (lane?.epoch ?? 0) >= this.#owner.epoch;
    if (isOlder) throw new Deposed(`job ${this.#job} has a newer driver`);
  }
}
