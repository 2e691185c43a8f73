import { describe, expect, it } from "vitest";
import type { LogLine, LogStore } from "../../../services/backends/log-store.ts";
import { anEndedJob, aRunningJob, endJob, JOB } from "../../support/a-job.ts";
import { aService } from "./support.ts";

/** Lines of one job in memory; the cursor counts them. */
class ListedLogs implements LogStore {
  readonly lines: LogLine[] = [];
  say(text: string): void {
    this.lines.push({ at: 0, worker: "w", from: "handler", text });
  }
  append(): Promise<void> {
    return Promise.resolve();
  }
  read(_job: string, query: { readonly cursor?: string; readonly linesMax?: number }) {
    const from = Number(query.cursor ?? "0");
    const lines = this.lines.slice(from, from + (query.linesMax ?? 1000));
    return Promise.resolve({ lines, cursor: String(from + lines.length) });
  }
  remove(): Promise<void> {
    return Promise.resolve();
  }
}

async function texts(lines: AsyncIterable<LogLine>): Promise<string[]> {
  const found: string[] = [];
  for await (const { text } of lines) found.push(text);
  return found;
}

describe("logs", () => {
  it("of a job of another API are not told", async () => {
    const { jobs, store } = await aService();
    await anEndedJob(store);

    await expect(jobs.logs("other", JOB.job, {})).rejects.toMatchObject({ code: "job_not_found" });
    await expect(texts(jobs.followLogs("other", JOB.job, {}, new AbortController().signal))).rejects.toMatchObject({
      code: "job_not_found",
    });
  });

  it("are followed page by page until the job has ended and all was read", async () => {
    const logs = new ListedLogs();
    const { jobs, store, clock } = await aService({ logs });
    await aRunningJob(store);
    for (let at = 0; at < 5; at++) logs.say(`early ${String(at)}`);
    const steps = [
      () => {
        logs.say("late");
        return Promise.resolve();
      },
      async () => {
        await endJob(store);
        logs.say("last");
      },
    ];
    clock.onSleep = () => steps.shift()?.();

    const found = await texts(jobs.followLogs(JOB.api, JOB.job, { linesMax: 2 }, new AbortController().signal));

    expect(found).toEqual(["early 0", "early 1", "early 2", "early 3", "early 4", "late", "last"]);
  });

  it("stop when the reader goes away", async () => {
    const logs = new ListedLogs();
    const { jobs, store, clock } = await aService({ logs });
    await aRunningJob(store);
    const gone = new AbortController();
    clock.onSleep = () => {
      gone.abort();
    };

    expect(await texts(jobs.followLogs(JOB.api, JOB.job, {}, gone.signal))).toEqual([]);
  });
});
