import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys } from "../protocol/keys.ts";
import type { ItemRange, VerdictLine } from "../protocol/ledger.ts";
import { parseLines } from "../protocol/ledger.parse.ts";
import type { BatchMessage } from "../protocol/messages.ts";
import { DamagedObject } from "../protocol/stored.ts";

/** True when a verdict stands over this very attempt: the driver has charged it, and will send the next one. */
export async function isJudged(store: ObjectStore, api: string, message: BatchMessage): Promise<boolean> {
  const verdicts = await verdictsOver(store, api, message);
  // One over some items charges no attempt; that there is one says that the attempts before it have failed.
  return verdicts.some(({ attempt, range }) => attempt > message.attempt || (range === undefined && attempt === message.attempt)); // prettier-ignore
}

/** The items of this attempt that workers died over, a range for each verdict. */
export async function diedRanges(store: ObjectStore, api: string, message: BatchMessage): Promise<ItemRange[]> {
  const verdicts = await verdictsOver(store, api, message);
  return verdicts.flatMap(({ attempt, range }) => (range !== undefined && attempt === message.attempt ? [range] : []));
}

/** None of what is damaged: to run a batch once more does no harm, and the driver judges what becomes of the job. */
function linesOf(key: string, bytes: Buffer): readonly VerdictLine[] {
  try {
    return parseLines<VerdictLine>(bytes, key).lines;
  } catch (error) {
    if (error instanceof DamagedObject) return [];
    throw error;
  }
}

async function verdictsOver(store: ObjectStore, api: string, message: BatchMessage): Promise<VerdictLine[]> {
  const over: VerdictLine[] = [];
  let after: string | undefined;
  do {
    const page = await store.list(jobKeys(api, message.job).verdicts, after === undefined ? {} : { after });
    for (const { key } of page.entries) {
      const found = await store.get(key);
      if (found === undefined) continue;
      over.push(...linesOf(key, found.bytes).filter(({ batch }) => batch === message.batch));
    }
    after = page.next;
  } while (after !== undefined);
  return over;
}
