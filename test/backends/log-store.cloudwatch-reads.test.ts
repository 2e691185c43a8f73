import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { realClock, realRandom } from "../../services/backends/clock.real.ts";
import { CloudWatchLogStore } from "../../services/backends/log-store.cloudwatch.ts";
import { jobId, jobStartedAt } from "../../services/protocol/ids.ts";
import { type FakeLogs, startFakeLogs } from "../support/fake-logs.ts";

let server: FakeLogs;
let store: CloudWatchLogStore;
beforeEach(async () => {
  server = await startFakeLogs();
  store = new CloudWatchLogStore({
    group: "g",
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    clock: realClock,
    random: realRandom,
    readsPerSecond: 1_000,
  });
});
afterEach(async () => {
  await store.close(0);
  await server.close();
});

describe("a CloudWatch log store that reads", () => {
  it("goes on over empty answers, and reads each line once in order", async () => {
    const start = Date.now();
    for (const worker of ["a", "b"]) {
      await store.append(
        "j",
        worker,
        [0, 1, 2, 3].map((number) => {
          return { at: start + number, worker, from: "handler" as const, text: `${worker}${String(number)}` };
        }),
      );
    }
    await store.flush(10);

    const read: string[] = [];
    let page = await store.read("j", { linesMax: 3 });
    while (page.lines.length > 0) {
      read.push(...page.lines.map(({ text }) => text));
      page = await store.read("j", { linesMax: 3, cursor: page.cursor });
    }
    expect(read).toEqual(["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3"]);
  });

  it("keeps a cursor small whatever many workers say, and shows what others wrote", async () => {
    const now = Date.now();
    for (let worker = 0; worker < 500; worker++) {
      server.streams.set(`j/${String(worker)}`, [{ timestamp: now, message: `[handler #aaaa.1] ${String(worker)}` }]);
    }
    server.streams.set("j/z", [{ timestamp: now + 1, message: "not ours" }]);

    server.pageEvents = 300;

    const first = await store.read("j", { linesMax: 400 });
    const second = await store.read("j", { cursor: first.cursor });
    const third = await store.read("j", { cursor: second.cursor });

    expect(first.cursor.length).toBeLessThan(12_000);
    expect(first.lines.length + second.lines.length).toBe(501);
    expect(second.lines.at(-1)).toEqual({ at: now + 1, worker: "z", from: "worker", text: "not ours" });
    expect(third.lines).toEqual([]);
  });

  it("begins at the time that is in the job's name", async () => {
    const job = jobId(1.8e12, "abcde");

    await store.read(job, {});

    expect(jobStartedAt(job)).toBe(1.8e12);
    expect(jobStartedAt("j")).toBe(undefined);
    expect(server.calls[0]?.input["startTime"]).toBe(1.8e12 - 3_600_000);
  });
});
