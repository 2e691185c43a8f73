import { describe, expect, it } from "vitest";
import { WORKER_EXIT } from "../../services/protocol/exit-codes.ts";
import { jobKeys } from "../../services/protocol/keys.ts";
import { encodeLine } from "../../services/protocol/ledger.ts";
import { WorkerBench } from "../support/a-whole-worker.ts";
import { aFailure, anIdentity, aOneItemMessage, aSuccess } from "../support/a-worker.ts";
import { aJobSpec } from "../support/builders.ts";
import { RAISED } from "../support/fake-handler.ts";

const { api, job } = anIdentity();
const OTHER = jobKeys(api, job).ledger("1-1-1-bb", 0);

/** A worker of two. */
async function oneOfTwo(): Promise<WorkerBench> {
  const bench = await WorkerBench.running({ hand: 10 }, { spec: aJobSpec({ workers: 2 }) });
  await bench.world.memory.append(OTHER, Buffer.from(encodeLine({ t: "ready", hook: false })), 0);
  await bench.send(...[0, 1, 2, 3, 4].map((batch) => aOneItemMessage(batch)));
  return bench;
}

/** The other worker's next lines. */
async function otherWrites(bench: WorkerBench, lines: readonly string[]): Promise<void> {
  const before = (await bench.world.memory.size(OTHER)) ?? 0;
  await bench.world.memory.append(OTHER, Buffer.from(lines.join("")), before);
}

async function failBatches(bench: WorkerBench, batches: number): Promise<void> {
  for (let failed = 0; failed < batches; failed += 1) {
    bench.handler.answer(RAISED);
    await bench.settle();
  }
}

describe("a worker that fails batch after batch", () => {
  it("hands all back uncharged, says why, and leaves to be replaced when the other one does well", async () => {
    const bench = await oneOfTwo();
    await failBatches(bench, 1);
    await bench.advance(100);
    await failBatches(bench, 2);
    const good = Array.from({ length: 40 }, (_, at) => encodeLine({ t: "outcome", ...aSuccess(100 + at).line }));
    await otherWrites(bench, good);

    await bench.advance(3_000);

    expect(await bench.lines("outcome")).toEqual([]);
    expect(await bench.lines("doubted")).toHaveLength(3);
    expect((await bench.lines("handed_back")).flatMap(({ batches }) => batches).sort()).toEqual([0, 1, 2, 3, 4]);
    const error = "its last 3 batches failed while other workers did 40 of 40 well; the last one: boom";
    expect(await bench.lines("left")).toEqual([{ t: "left", why: "sick", error, traceback: "tb" }]);
    expect(bench.said).toContain(`this worker stands down: ${error}`);
    expect(bench.exitCode).toBe(WORKER_EXIT.crashed);
    expect(await bench.visible()).toEqual([0, 1, 2, 3, 4]);
  });

  it("is charged for all of them, and stays, when the other one fails too", async () => {
    const bench = await oneOfTwo();
    await failBatches(bench, 1);
    await bench.advance(100);
    await failBatches(bench, 2);
    await otherWrites(bench, [encodeLine({ t: "outcome", ...aFailure(100).line }), encodeLine({ t: "doubted", batch: 101, attempt: 1 })]); // prettier-ignore

    await bench.advance(3_000);
    await failBatches(bench, 2);
    await bench.advance(3_000);

    expect(await bench.lines("outcome")).toHaveLength(5);
    expect(bench.exitCode).toBeUndefined();
  });

  it("is charged for what was held back when it is drained", async () => {
    const bench = await oneOfTwo();
    await failBatches(bench, 2);

    bench.worker.leave({ kind: "drain" });
    await bench.settle();
    await failBatches(bench, 3);
    await bench.advance(1_000);

    const outcomes = (await bench.lines("outcome")).map(({ batch, result }) => `${String(batch)} ${result}`);
    expect(outcomes).toEqual(["0 none", "1 none", "2 none", "3 none", "4 none"]);
    expect(await bench.lines("handed_back")).toEqual([]);
    expect(bench.exitCode).toBe(WORKER_EXIT.drained);
  });
});
