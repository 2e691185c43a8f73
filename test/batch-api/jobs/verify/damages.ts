/** Damages to the objects of a job, as no code of ours makes them; each under the name of the check that must find it. */
import { expect } from "vitest";
import type { ObjectStore } from "../../../../services/backends/object-store.ts";
import { encodeStored } from "../../../../services/batch-api/jobs/stored.ts";
import { apiKeys, jobKeys } from "../../../../services/protocol/keys.ts";
import { JOB, WORKER_A, WORKER_B } from "../../../support/a-job.ts";

export const KEYS = jobKeys(JOB.api, JOB.job);
export const API = apiKeys(JOB.api);
export const [LEDGER_OF_A, LEDGER_OF_B] = [KEYS.ledger(WORKER_A, 0), KEYS.ledger(WORKER_B, 0)];
export const ERRORS = KEYS.part("errors-00000000.ndjson");

/** The check, a piece of the sentence that it must say, and what is done to the store. */
export type Damage = readonly [string, RegExp, (store: ObjectStore) => Promise<unknown>];

/** Puts other bytes in an object's or a log's place, as no code of ours can. */
export async function rewrite(store: ObjectStore, key: string, change: (text: string) => string): Promise<void> {
  const before = (await store.get(key))?.bytes.toString() ?? "";
  const after = change(before);
  expect(after).not.toBe(before);
  await store.delete(key);
  await store.put(key, Buffer.from(after));
}

export async function rewriteRecord(store: ObjectStore, key: string, change: (value: object) => object): Promise<void> {
  const found = await store.read(key);
  const value = JSON.parse(found?.bytes.toString() ?? "{}") as object;
  await store.swap(key, encodeStored(change(value)), found?.version);
}

export const state = (store: ObjectStore, change: (value: { counts: object; at: object }) => object) =>
  rewriteRecord(store, KEYS.state, (value) => ({ ...value, ...change(value as { counts: object; at: object }) }));

export const without = (line: number) => (text: string) =>
  text
    .split("\n")
    .filter((_, at) => at !== line)
    .join("\n");
