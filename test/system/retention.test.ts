/** A real service, beside which a janitor looks with a clock that is months ahead. */
import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { realClock } from "../../services/backends/clock.real.ts";
import type { Clock } from "../../services/backends/clock.ts";
import { FileLogStore } from "../../services/backends/log-store.files.ts";
import { NamedFolders } from "../../services/backends/named-folders.ts";
import { openFileStore } from "../../services/backends/object-store.files.ts";
import { Janitor } from "../../services/batch-api/janitor/janitor.ts";
import { tidyFolders } from "../../services/batch-api/janitor/laptop-folders.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import { until } from "../support/a-service.ts";
import { ECHO, INIT, SystemUnderTest } from "../support/a-system.ts";
import type { JobOnWire, ProblemOnWire } from "../support/api-user.ts";

/** Waits for a file to come. */
const WAITING = `import os, time
class Handler:
${INIT}    def handle_batch(self, payload):
        while not os.path.exists(payload[0]):
            time.sleep(0.05)
        return payload
`;
const forever = new AbortController().signal;
const DAY_MS = 24 * 3600 * 1000;

let system: SystemUnderTest;

beforeEach(async () => {
  system = await SystemUnderTest.start();
});
afterEach(() => system.end());

function ahead(days: () => number): Clock {
  return {
    monotonicMs: () => realClock.monotonicMs(),
    wallMs: () => realClock.wallMs() + days() * DAY_MS,
    sleep: (milliseconds, signal) => realClock.sleep(milliseconds, signal),
  };
}

/** Passes over an API after so many days each, as the service of this root would. */
async function passes(api: string, ...days: readonly number[]): Promise<void> {
  const { root } = system.service;
  let passed = 0;
  const clock = ahead(() => passed);
  const store = await openFileStore({ root: join(root, "store"), clock });
  const said: unknown[] = [];
  const log = { info: () => undefined, warn: (...words: readonly unknown[]) => void said.push(words) };
  const janitor = new Janitor({
    ...{ store, clock, log, apis: () => Promise.resolve([api]), pauseMs: 1, resultsSetting: "--keep-results" },
    retention: { resultsDays: 30, recordsDays: 90 },
    logs: { store: new FileLogStore({ root: join(root, "logs") }), days: null },
  });
  for (const each of days) {
    passed = each;
    await janitor.pass(api, forever);
  }
  const folders = {
    environments: new NamedFolders(join(root, "environments")),
    projects: new NamedFolders(join(root, "scratch", "projects")),
    logs: new NamedFolders(join(root, "logs")),
  };
  await tidyFolders({ store, folders, inUse: () => false }, forever);
  await store.close();
  expect(said).toEqual([]);
}

async function answer(job: JobOnWire, what: string): Promise<Pick<ProblemOnWire, "status" | "code">> {
  const reply = await system.request(`/v1/apis/${job.api}/jobs/${job.job_id}${what}`);
  return reply.status === 200 ? { status: 200, code: "" } : ((await reply.json()) as ProblemOnWire);
}

const isThere = (...path: readonly string[]) => access(resolve(system.service.root, ...path)).then(() => true, () => false); // prettier-ignore

describe("retention on a laptop", () => {
  it("ends results, then the job, while another job runs and its project stays", async () => {
    await system.deploy("words", ECHO);
    await system.deploy("waiting", WAITING);
    const flag = join(system.inputs, "go");
    const item_list = { items: [flag], batch_size: 1 };
    const running = await system.when(
      await system.submit("waiting", { workers: 1, item_list }),
      ({ state }) => state === "running",
    );
    const job = await system.run("words", { workers: 1, item_list: { items: [1, 2, 3], batch_size: 2 } });
    await system.results(job);

    const marker = join(system.service.root, "store", "apis", "words", "active", job.job_id);
    await until("its workers to have let go", async () => ((await isThere(marker)) ? undefined : true));

    await passes("words", 30, 32, 32.1, 32.2);
    expect(await answer(job, "/results")).toMatchObject({ status: 410, code: "results_removed" });
    expect(await answer(job, "/errors")).toMatchObject({ status: 410, code: "results_removed" });
    expect(await system.job(job)).toMatchObject({ state: "succeeded", items: { succeeded: 3 } });
    const store = await openFileStore({ root: join(system.service.root, "store") });
    const report = await verifyJob(store, "words", job.job_id);
    expect(report).toMatchObject({ sound: true, final: true });
    expect(report.results_removed).toContain("30 days after a job's end (--keep-results)");
    expect(await isThere("logs", job.job_id)).toBe(true);

    await passes("words", 90, 90.1, 90.2);
    await passes("waiting", 90, 90.1, 90.2);
    expect((await store.list(`apis/words/jobs/`)).entries).toEqual([]);
    expect((await store.list(`apis/words/ended/`)).entries).toEqual([]);
    expect(await answer(job, "")).toMatchObject({ status: 404, code: "job_not_found" });
    expect(await isThere("logs", job.job_id)).toBe(false);
    await store.close();

    system.forget(job);
    await system.write("go", "");
    expect(await system.ended(running)).toMatchObject({ state: "succeeded" });
    const again = await system.run("words", { workers: 1, item_list: { items: [1], batch_size: 1 } });
    expect(again).toMatchObject({ state: "succeeded" });
    await system.proveAll();
  }, 90_000);
});
