import type { ObjectStore } from "../../services/backends/object-store.ts";

/** Stores that two processes would have: they share all state and nothing else. */
export interface OpenedStores {
  readonly one: ObjectStore;
  readonly other: ObjectStore;
  close(): Promise<void>;
}

export type Stores = () => { readonly one: ObjectStore; readonly other: ObjectStore };
