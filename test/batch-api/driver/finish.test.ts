import { describe, expect, it } from "vitest";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { JOB_FORMAT, type Cut } from "../../../services/protocol/jobs.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { encodeLine, type LedgerLine } from "../../../services/protocol/ledger.ts";
import { DriverBench } from "../../support/a-driver.ts";
import { aRunningJob, JOB, LEDGER_A, LEDGER_B, WORKER_A, WORKER_B } from "../../support/a-job.ts";
import { MemoryDataset } from "../../support/memory-dataset.ts";
import { MemoryDeadLetters } from "../../support/memory-dead-letters.ts";
import { WatchedWorld } from "../../support/watched-world.ts";

const KEYS = jobKeys(JOB.api, JOB.job);
const SPEC = { ...JOB, dead_letter_queue: { arn: "arn:aws:sqs:eu-west-1:123456789012:failed", max_receive_count: 2 } };
const withoutHook = (lines: readonly LedgerLine[]) =>
  lines.map((line) => (line.t === "ready" ? { ...line, hook: false } : line));
const isBatch2 = (line: LedgerLine) => line.t === "outcome" && line.batch === 2;
/** Batch 3 has failed for good before the last attempt of batch 2 succeeds. */
const FAILED_FIRST = withoutHook([...LEDGER_A.filter((line) => !isBatch2(line)), ...LEDGER_A.filter(isBatch2)]);

/** A job of which all is settled and batch 3 failed, with a queue for it. */
async function aSettledJob() {
  const bench = new DriverBench(new WatchedWorld(), SPEC);
  await aRunningJob(bench.world.memory, { ledgerA: FAILED_FIRST, ledgerB: withoutHook(LEDGER_B) });
  const queues = new MemoryDeadLetters();
  bench.deps = { ...bench.deps, deadLetters: { queues, dataset: new MemoryDataset() } };
  return { bench, queues };
}

const bytesOf = (lines: readonly LedgerLine[]) => Buffer.byteLength(lines.map(encodeLine).join(""));

describe("dead letters at a job's end", () => {
  it("go once its results are written, and before its final state", async () => {
    const { bench, queues } = await aSettledJob();
    const seen: unknown[] = [];
    const send = queues.send.bind(queues);
    queues.send = async (...given) => {
      seen.push((await bench.world.memory.size(KEYS.manifest)) !== undefined, (await bench.state()).state);
      return send(...given);
    };

    await bench.drive(60);

    expect(seen).toEqual([true, "completing"]);
    expect(queues.sent.map(({ body }) => body)).toEqual(["[ 6\n]"]);
    expect(await bench.state()).toMatchObject({ state: "completed_with_failures", warnings: [] });
  });

  it("are none for a job whose ledgers turn out to be damaged", async () => {
    const { bench, queues } = await aSettledJob();
    const cut: Cut = {
      format: JOB_FORMAT,
      ledgers: {
        [KEYS.ledger(WORKER_A, 0)]: bytesOf(FAILED_FIRST.slice(0, -1)),
        [KEYS.ledger(WORKER_B, 0)]: bytesOf(withoutHook(LEDGER_B)),
      },
      verdicts: {},
    };
    await bench.world.memory.put(KEYS.cut, encodeStored(cut));

    await bench.drive(60);

    expect(await bench.state()).toMatchObject({ state: "failed", cause: { reason: "store_damaged" } });
    expect(queues.calls).toBe(0);
  });
});
