import type { ObjectStore } from "../backends/object-store.ts";
import type { WorkerIdentity } from "./context.ts";
import { LedgerWriter } from "./ledger-writer.ts";

/** The ledger of a worker that came to nothing: its job fails in these words once others came to nothing as well. */
export async function tellUnstarted(store: ObjectStore, identity: WorkerIdentity, error: string): Promise<void> {
  const ledger = new LedgerWriter(store, identity.api, identity.job, identity.name);
  ledger.add({ t: "start_failed", error, traceback: "" });
  ledger.add({ t: "left", why: "sick" });
  await ledger.append(ledger.take());
}
