import { describe, expect, it } from "vitest";
import { Chance } from "../simulation/chance.ts";
import { Cluster } from "../simulation/cluster.ts";
import { endProblems } from "../simulation/end-state.ts";
import { NO_FAULTS } from "../simulation/faults.ts";
import { API, NUMBER_LABEL } from "../simulation/workload.ts";
import { MemoryDataset } from "../support/memory-dataset.ts";
import { PlannedFault } from "./planned-fault.ts";

const BATCHES = 4_000;
const BATCH_SIZE = 2;
const WORKERS = 4;

/** A calm run of many quick batches, and the calls that it made. */
async function runLargeJob() {
  const planned = new PlannedFault();
  const items = Array.from({ length: BATCHES * BATCH_SIZE }, (_, index) => JSON.stringify({ index }));
  const cluster = new Cluster(
    {
      chance: new Chance(1),
      rates: NO_FAULTS,
      faultFree: true,
      faultsEndMs: 0,
      lanes: 1,
      handlerProcesses: 1,
      appendsMax: undefined,
      bareMessages: false,
      pollSeconds: 0.5,
      dataset: new MemoryDataset(),
      jobs: [
        {
          api: API,
          submission: {
            workers: WORKERS,
            config: {},
            timeoutSeconds: null,
            input: { kind: "item_list", items: items.map((item) => Buffer.from(item)), batchSize: BATCH_SIZE },
            attempts: 1,
            batchTimeoutSeconds: 4,
            priority: 0,
            labels: { [NUMBER_LABEL]: "0" },
            deadLetterQueue: null,
          },
          script: { hook: "none", broken: false, secondsMin: 0.001, secondsMax: 0.002, deeds: new Map() },
          items,
          batchSize: BATCH_SIZE,
          submitAtMs: 10,
          stopAtMs: undefined,
          idempotencyKey: "key-0",
        },
      ],
      between: planned,
    },
    { told: false, exact: false },
  );
  await cluster.run();
  return { cluster, calls: planned.calls, seconds: cluster.world.nowMs / 1000 };
}

describe("a large job of quick batches", () => {
  it("takes fewer calls of the queue than it has batches, and goes at hundreds of them a second", async () => {
    const { cluster, calls, seconds } = await runLargeJob();

    expect([...cluster.world.story.violations, ...(await endProblems(cluster))]).toEqual([]);
    const queueCalls = calls.filter(({ words }) => /^(send|receive|ack|extend|release) /.test(words));
    expect(queueCalls.length / BATCHES, "calls of the queue for each batch").toBeLessThan(0.5);
    expect(BATCHES / seconds, "batches for each second").toBeGreaterThan(300);
  });
});
