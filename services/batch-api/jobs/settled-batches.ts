/** Which batches of an ended job count as settled: a function of its cut. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type Cut, type JobSpec } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import type { SplitEnd } from "../../protocol/pointers.ts";
import { LedgerReader } from "../driver/ledger-reader.ts";
import { readObject } from "./stored.ts";

/** Reads the job's ledgers up to its cut, once; some 22 bytes a batch. */
export async function settledBatches(
  store: ObjectStore,
  { api, job, attempts, input }: Pick<JobSpec, "api" | "job" | "attempts" | "input">,
  end: SplitEnd,
): Promise<(batch: number) => boolean> {
  const key = jobKeys(api, job).cut;
  const cut = await readObject<Cut>(store, key, JOB_FORMAT);
  if (cut === undefined) throw new Error(`${key} of an ended job is not there: run millrace verify`);
  const short = end.items % input.batch_size;
  const reader = new LedgerReader({
    store,
    api,
    job,
    attempts,
    itemsOf: (batch) => (batch === end.batches - 1 && short > 0 ? short : input.batch_size),
    batchesEnd: end.batches,
    cut,
  });
  await reader.refreshVerdicts();
  await reader.refreshLedgers();
  return (batch) => reader.fold.isSettled(batch);
}
