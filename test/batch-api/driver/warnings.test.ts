import { describe, expect, it } from "vitest";
import { warningsOf } from "../../../services/batch-api/driver/warnings.ts";
import { LedgerReader } from "../../../services/batch-api/driver/ledger-reader.ts";
import { encodeLine, type OutcomeLine } from "../../../services/protocol/ledger.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

describe("a job's warnings", () => {
  it("say which batch size to lower when memory was short and no item was to blame", async () => {
    const { memory } = new WatchedWorld();
    const line: OutcomeLine = { t: "outcome", batch: 0, attempt: 1, result: "all", items: 64, failed: 0, seconds: 1 };
    const lines = [line, { ...line, batch: 1, fits: 16 }, { ...line, batch: 2, fits: 8 }];
    await memory.append(jobKeys("digits", "e0").ledger("1-1-0-aa", 0), Buffer.from(lines.map(encodeLine).join("")), 0);
    const ledgers = new LedgerReader({ store: memory, api: "digits", job: "e0", attempts: 1, itemsOf: () => 64 });

    expect(warningsOf({ ledgers, notices: [] })).toEqual([]);
    await ledgers.refreshLedgers();
    expect(warningsOf({ ledgers, notices: [] })).toEqual([
      "batches ran out of memory, and 8 items at a time did not: submit with a batch_size of 8 at most, or give the workers more memory",
    ]);
  });
});
