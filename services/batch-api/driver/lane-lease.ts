import type { ObjectStore } from "../../backends/object-store.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { EMPTY_LANE, type LaneRecord } from "../../protocol/lanes.ts";
import { DamagedObject, parseStored } from "../../protocol/stored.ts";

/** This driver no longer owns its lane: another replica took it, or the lane went to another job. It must stop at once. */
export class Deposed extends Error {
  override readonly name = "Deposed";
}

export interface HeldLane {
  readonly lane: number;
  readonly record: LaneRecord;
  /** The store's version of that record. */
  readonly version: string;
}

/**
 * A record that is damaged reads as one of a lane that is free, behind all epochs and terms that it may have had: its owner, if it
 * lives, overwrites it with the next beat, or finds itself deposed.
 */
export async function readLane(store: ObjectStore, api: string, lane: number): Promise<HeldLane | undefined> {
  const key = apiKeys(api).lane(lane);
  const found = await store.read(key);
  if (found === undefined) return undefined;
  try {
    return { lane, record: parseStored<LaneRecord>(key, found.bytes), version: found.version };
  } catch (error) {
    if (!(error instanceof DamagedObject)) throw error;
    // A lane is granted less than once a second, all its life long: what it counted lies below the seconds since 1970.
    const beyond = Math.floor((await store.now()) / 1000);
    return { lane, record: { ...EMPTY_LANE, epoch: beyond, term: beyond, writes: beyond }, version: found.version };
  }
}

/** One try; undefined when somebody else was first. */
export async function swapLane(
  store: ObjectStore,
  api: string,
  lane: number,
  record: LaneRecord,
  expected: string | undefined,
): Promise<HeldLane | undefined> {
  const version = await store.swap(apiKeys(api).lane(lane), Buffer.from(JSON.stringify(record)), expected);
  return version === undefined ? undefined : { lane, record, version };
}

/** The owner's hold on its lane record: the only writer while it lasts. Writes go one after the other. */
export class LaneLease {
  readonly #store: ObjectStore;
  readonly #api: string;
  #held: HeldLane;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(store: ObjectStore, api: string, held: HeldLane) {
    this.#store = store;
    this.#api = api;
    this.#held = held;
  }

  get lane(): number {
    return this.#held.lane;
  }

  get record(): LaneRecord {
    return this.#held.record;
  }

  /** Writes a change; throws `Deposed` when the record is no longer ours. */
  update(change: Partial<LaneRecord>): Promise<LaneRecord> {
    const next = this.#tail.then(() => this.#write(change));
    this.#tail = next.catch(() => undefined); // each caller hears of its own failure
    return next;
  }

  async #write(change: Partial<LaneRecord>): Promise<LaneRecord> {
    for (;;) {
      const { record: before, version } = this.#held;
      const record = { ...before, ...change, writes: before.writes + 1 };
      const swapped = await swapLane(this.#store, this.#api, this.lane, record, version);
      this.#held = swapped ?? (await this.#readOwn());
      // Not swapped, and still ours: an earlier write that failed, as far as we could tell, had landed.
      if (swapped !== undefined) return record;
    }
  }

  /** Within a term nobody but its owner writes. */
  async #readOwn(): Promise<HeldLane> {
    const found = await readLane(this.#store, this.#api, this.lane);
    if (found?.record.term === this.#held.record.term) return found;
    throw new Deposed(`lane ${String(this.lane)} of API ${this.#api} has another owner`);
  }
}
