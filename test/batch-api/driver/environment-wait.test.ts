import { describe, expect, it } from "vitest";
import type { CodeReadiness } from "../../../services/batch-api/driver/context.ts";
import { liveFacts } from "../../../services/batch-api/driver/live.ts";
import { tick } from "../../../services/batch-api/driver/tick.ts";
import { jobKeys } from "../../../services/protocol/keys.ts";
import { aRunningJob, JOB } from "../../support/a-job.ts";
import { DriverBench } from "../../support/a-driver.ts";

async function aWaitingJob(readiness: () => CodeReadiness) {
  const bench = new DriverBench();
  const asked: string[] = [];
  bench.deps = {
    ...bench.deps,
    readiness: (api, version) => {
      asked.push(`${api} ${version}`);
      return Promise.resolve(readiness());
    },
  };
  await aRunningJob(bench.world.memory, { ledgerA: [], ledgerB: [] });
  return { bench, asked, job: await bench.runningJob() };
}

describe("a job whose version has no environment yet", () => {
  it("starts no workers, says why, and starts them once it is there, which is asked no more", async () => {
    let readiness: CodeReadiness = { kind: "waits", why: "workers wait for their environment: it is being built" };
    const { bench, asked, job } = await aWaitingJob(() => readiness);

    for (let look = 0; look < 3; look += 1) expect(await tick(job)).toBeUndefined();
    expect(liveFacts(job).message).toBe("workers wait for their environment: it is being built");
    expect([bench.pool.asked, (await bench.lease()).record.keep]).toEqual([[], {}]);

    readiness = { kind: "ready" };
    await tick(job);
    bench.pool.list = [{ generation: 1, index: 0, phase: "pending" }];
    await tick(job);

    expect(bench.pool.asked).toEqual(["start 1 2"]);
    expect(liveFacts(job).message).not.toContain("environment");
    expect(asked).toEqual(Array(4).fill(`${JOB.api} ${JOB.version}`));
  });

  it("fails in the words of the build once it is given up", async () => {
    const { bench, job } = await aWaitingJob(() => ({ kind: "failed", why: "its environment: no such package" }));

    expect(await tick(job)).toBeUndefined();
    expect(await tick(job)).toEqual({
      ...{ kind: "failed", reason: "worker_error" },
      message: "its environment: no such package",
    });
    expect(bench.pool.asked).toEqual([]);
  });

  it("can be stopped meanwhile", async () => {
    const { bench, job } = await aWaitingJob(() => ({ kind: "waits", why: "it is being built" }));
    await tick(job);
    await bench.world.memory.put(jobKeys(JOB.api, JOB.job).stop, Buffer.from("{}"));
    job.lookForStop();

    expect(await tick(job)).toEqual({ kind: "stopped" });
  });
});
