import type { ObjectStore } from "../backends/object-store.ts";
import { jobKeys } from "../protocol/keys.ts";
import type { VerdictLine } from "../protocol/ledger.ts";
import { parseLines } from "../protocol/ledger.parse.ts";
import type { BatchMessage } from "../protocol/messages.ts";

/** True when a verdict stands over this very attempt: the driver has charged it, and will send the next one. */
export async function isJudged(store: ObjectStore, api: string, message: BatchMessage): Promise<boolean> {
  const page = await store.list(jobKeys(api, message.job).verdicts);
  for (const { key } of page.entries) {
    const found = await store.get(key);
    if (found === undefined) continue;
    const { lines } = parseLines<VerdictLine>(found.bytes);
    if (lines.some(({ batch, attempt }) => batch === message.batch && attempt >= message.attempt)) return true;
  }
  return false;
}
