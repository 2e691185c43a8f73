import { describe, expect, it } from "vitest";
import { ActiveJobs } from "../../../services/batch-api/driver/active-jobs.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

describe("a job that ends while it waits for a lane", () => {
  it("says so once in its log", async () => {
    const bench = new DriverBench();
    const said: string[] = [];
    const deps = { ...bench.deps, say: (spec: typeof JOB, sentence: string) => said.push(`${spec.job}: ${sentence}`) };
    const active = new ActiveJobs(deps, (_job, step) => step());
    const keys = jobKeys(JOB.api, JOB.job);
    await bench.world.memory.put(keys.spec, encodeStored(JOB));
    await bench.world.memory.put(keys.splitEnd, encodeStored({ format: 1, complete: false, splits: 0, batches: 0, items: 0 })); // prettier-ignore
    const before = await active.withoutLane(JOB.api, [JOB.job]);
    await bench.world.memory.put(keys.stop, Buffer.from("{}"));

    const after = [await active.withoutLane(JOB.api, [JOB.job]), await active.withoutLane(JOB.api, [JOB.job])];

    expect(before.waiting).toHaveLength(1);
    expect(after).toEqual(Array(2).fill({ waiting: [], elsewhere: [] }));
    expect((await bench.state()).state).toBe("stopped");
    expect(said).toEqual([`${JOB.job}: job ended: stopped`]);
  });
});
