import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type Cut } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { encodeStored, readNamed, readObject } from "../jobs/stored.ts";
import { countedBytesGone } from "./counted-bytes.ts";
import type { LedgerReader } from "./ledger-reader.ts";

/**
 * The cut of a job whose end is decided: from now on exactly these bytes count. Whoever finds one uses it; later bytes never
 * count. Call it only after the state has moved to completing.
 */
export async function makeCut(store: ObjectStore, api: string, job: string, ledgers: LedgerReader): Promise<Cut> {
  const keys = jobKeys(api, job);
  const known = await readObject<Cut>(store, keys.cut, JOB_FORMAT);
  if (known !== undefined) return known;
  await ledgers.refreshLedgers();
  await ledgers.refreshVerdicts();
  const cut: Cut = {
    format: JOB_FORMAT,
    ledgers: ledgers.consumed(keys.ledgers),
    verdicts: ledgers.consumed(keys.verdicts),
  };
  // What was read may not be on the disk yet (its writer still waits for that): it must not be lost after it was counted.
  await store.sync([...Object.keys(cut.ledgers), ...Object.keys(cut.verdicts)]);
  await checkSizes(store, { ...cut.ledgers, ...cut.verdicts });
  if (await store.put(keys.cut, encodeStored(cut))) return cut;
  return readNamed<Cut>(store, keys.cut, JOB_FORMAT);
}

/** A thousand workers' ledgers, one after the other, would take as many times the store's answer. */
const SIZES_AT_ONCE = 32;

/** A writer whose sync failed takes its bytes back, and they may have been read before: who counted them must begin anew. */
async function checkSizes(store: ObjectStore, logs: Readonly<Record<string, number>>): Promise<void> {
  const all = Object.entries(logs);
  for (let at = 0; at < all.length; at += SIZES_AT_ONCE) {
    await Promise.all(all.slice(at, at + SIZES_AT_ONCE).map((log) => checkSize(store, log)));
  }
}

async function checkSize(store: ObjectStore, [key, countedBytes]: readonly [string, number]): Promise<void> {
  if (((await store.size(key)) ?? 0) < countedBytes) throw countedBytesGone(key);
}
