/** `state.json`: read and compare-and-swapped, along the table of moves and no other way. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type StateRecord } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { isFinal, mayMove } from "../../protocol/states.ts";
import { encodeStored, readRecord } from "./stored.ts";

/** A state with the version to swap against; version undefined: nothing is stored yet, the job is pending. */
export interface StoredState {
  readonly state: StateRecord;
  readonly version: string | undefined;
}

/** What a job is before anybody has written its state. */
export const FIRST_STATE: StateRecord = {
  format: JOB_FORMAT,
  state: "pending",
  cause: null,
  lane: null,
  sent_through: 0,
  counts: null,
  message: "",
  live: null,
  at: {},
  writes: 0,
};

/** What a writer says; the swap counts `writes` and keeps the first entry of each state. */
export type StateChange = Partial<Omit<StateRecord, "format" | "writes" | "at">>;

/** Throws `StoredFormatError` when another version of the service wrote it. */
export async function readState(store: ObjectStore, api: string, job: string): Promise<StoredState> {
  const found = await readRecord<StateRecord>(store, jobKeys(api, job).state, JOB_FORMAT);
  return { state: found?.value ?? FIRST_STATE, version: found?.version };
}

/**
 * The record after a change. Throws when the table has no such move (invariant I7: a final state never changes).
 * `now` is the store's clock, Unix milliseconds.
 */
export function changedState(before: StateRecord, change: StateChange, now: number): StateRecord {
  const state = change.state ?? before.state;
  if (isFinal(before.state) || (state !== before.state && !mayMove(before.state, state))) {
    throw new Error(`a job never moves from ${before.state} to ${state}: the table of moves does not have it`);
  }
  const at = before.at[state] === undefined ? { ...before.at, [state]: now } : before.at;
  // What a driver told is of use only while one drives.
  const live = change.live ?? (state === "running" || state === "completing" ? (before.live ?? null) : null);
  return { ...before, ...change, state, at, live, format: JOB_FORMAT, writes: before.writes + 1 };
}

/** Writes a change; undefined when somebody else was first: read again and judge by content. */
export async function swapState(
  store: ObjectStore,
  api: string,
  job: string,
  stored: StoredState,
  change: StateChange,
): Promise<StoredState | undefined> {
  const state = changedState(stored.state, change, await store.now());
  const version = await store.swap(jobKeys(api, job).state, encodeStored(state), stored.version);
  return version === undefined ? undefined : { state, version };
}
