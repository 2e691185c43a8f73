import { describe, expect, it } from "vitest";
import { jobKeys } from "../../../services/protocol/keys.ts";
import type { VerdictLine } from "../../../services/protocol/ledger.ts";
import { aRunningJob, JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

const KEYS = jobKeys(JOB.api, JOB.job);

function aVerdict(batch: number): VerdictLine {
  return { t: "died", batch, attempt: 1, worker: "1-1-0-aa", cause: "worker_died" };
}

describe("a driver's verdicts", () => {
  it("go on in another object when the store has taken as many appends to one as it may", async () => {
    const bench = new DriverBench();
    await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
    bench.deps = { ...bench.deps, store: { ...bench.world.store, appendsMax: 2 } };
    const job = await bench.runningJob();

    for (const batch of [0, 1, 2, 3]) await job.writeVerdict(aVerdict(batch));
    await job.writeVerdict({ ...aVerdict(0), attempt: 2 });

    const { entries } = await bench.world.memory.list(KEYS.verdicts);
    expect(entries.map(({ key }) => key)).toEqual([0, 1, 2].map((part) => KEYS.verdict(1, part)));
    const again = await bench.runningJob();
    await again.ledgers.refreshVerdicts();
    expect([...again.ledgers.verdicts]).toEqual([
      [0, 2],
      [1, 1],
      [2, 1],
      [3, 1],
    ]);
  });
});
