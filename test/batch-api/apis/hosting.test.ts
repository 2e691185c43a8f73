import { beforeEach, describe, expect, it } from "vitest";
import { realClock } from "../../../services/backends/clock.real.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { Apis } from "../../../services/batch-api/apis/apis.ts";
import { Hosting } from "../../../services/batch-api/apis/hosting.ts";
import { projectFilesOf } from "../../../services/batch-api/apis/stored-project.ts";
import { hostedJobs, stopHostedJobs } from "../../../services/batch-api/jobs/hosted-jobs.ts";
import type { JobService } from "../../../services/batch-api/jobs/job-service.ts";
import { readState, swapState } from "../../../services/batch-api/jobs/state-record.ts";
import { jobToWire } from "../../../services/batch-api/routes/job-wire.ts";
import { packFiles } from "../../../services/project/project-files.ts";
import { apiKeys } from "../../../services/protocol/keys.ts";
import { aSubmission } from "../../support/builders.ts";
import { aProject } from "../../support/project-folder.ts";
import { aService, keysUnder } from "../jobs/support.ts";

const ANN = { principal: "ann", idempotencyKey: "k1" };

let store: ObjectStore;
let hosting: Hosting;
let jobs: JobService;

/** Host "digits", with a version of its own, which may host two others. */
beforeEach(async () => {
  const service = await aService();
  store = service.store;
  const environments = { build: () => Promise.resolve(null) };
  const apis = new Apis({ store, environments, stopAllJobs: () => Promise.resolve(), only: "digits" });
  const stopJobsOf = (name: string) => stopHostedJobs(service.jobs, realClock, "digits", name);
  hosting = new Hosting({ store, apis, host: "digits", namesMax: 2, stopJobsOf });
  jobs = hostedJobs({ jobs: service.jobs, store, host: "digits", currentOf: (name) => hosting.currentOf(name) });
});

async function deploy(name: string, handler = "class Handler: ...\n") {
  const files = { "millrace.yaml": `name: ${name}\nhandler: {path: handler.py}\n`, "handler.py": handler };
  return hosting.deploy(name, await packFiles(aProject(files)), () => undefined);
}

describe("an API that hosts others", () => {
  it("makes them under its own keys, and lists them beside itself", async () => {
    expect((await deploy("words")).change).toBe("created");
    expect((await deploy("words")).change).toBe("unchanged");
    expect((await deploy("words", "class Handler: x = 1\n")).change).toBe("updated");

    expect((await hosting.list()).views.map(({ current }) => current.api)).toEqual(["digits", "words"]);
    expect((await hosting.get("words")).current.spec.name).toBe("words");
    const { entries } = await store.list("apis/");
    expect(entries.filter(({ key }) => !key.startsWith(apiKeys("digits").root))).toEqual([]);
  });

  it("makes so many as its owner allows, and another when one of them goes", async () => {
    await deploy("words");
    await deploy("photos");

    await expect(deploy("sounds")).rejects.toMatchObject({
      code: "not_allowed",
      message: expect.stringContaining('API "digits" hosts 2 others, which is all that its owner allows') as string,
    });
    await hosting.remove("words");

    expect((await deploy("sounds")).change).toBe("created");
    await expect(hosting.get("words")).rejects.toMatchObject({ code: "api_not_found" });
    await expect(hosting.remove("words")).rejects.toMatchObject({ code: "api_not_found" });
  });

  it("refuses names that no API has", async () => {
    await expect(deploy("Words")).rejects.toMatchObject({ code: "project_invalid" });
    await expect(deploy("health")).rejects.toMatchObject({ code: "name_reserved" });
  });

  it("runs their jobs on their versions, and tells them by their names", async () => {
    const { view } = await deploy("words");

    const job = await jobs.submit("words", aSubmission(), ANN);

    expect(job.spec).toMatchObject({ api: "digits", hosted: "words", version: view.current.version });
    expect(jobToWire(job)).toMatchObject({ api: "words", links: { self: `/v1/apis/words/jobs/${job.spec.job}` } });
    expect(await keysUnder(store, apiKeys("digits").active)).toEqual([job.spec.job]);
  });

  it("shows each name its own jobs alone", async () => {
    await deploy("words");
    const own = await jobs.submit("digits", aSubmission(), ANN);
    const other = await jobs.submit("words", aSubmission(), ANN);

    const idsOf = async (api: string) => (await jobs.list(api, {})).jobs.map(({ spec }) => spec.job);
    expect(await idsOf("digits")).toEqual([own.spec.job]);
    expect(await idsOf("words")).toEqual([other.spec.job]);
    for (const [api, job] of [
      ["digits", other.spec.job],
      ["words", own.spec.job],
    ] as const) {
      await expect(jobs.get(api, job)).rejects.toMatchObject({ code: "job_not_found" });
      await expect(jobs.stop(api, job)).rejects.toMatchObject({ code: "job_not_found" });
    }
    await expect(jobs.submit("sounds", aSubmission(), ANN)).rejects.toMatchObject({ code: "api_not_found" });
    await expect(jobs.list("sounds", {})).rejects.toMatchObject({ code: "api_not_found" });
  });

  it("lets jobs end on the version that they were accepted with, through two updates", async () => {
    const first = await deploy("words");
    const job = await jobs.submit("words", aSubmission(), ANN);
    await deploy("words", "class Handler: x = 1\n");
    await deploy("words", "class Handler: x = 2\n");

    expect((await jobs.get("words", job.spec.job)).spec.version).toBe(first.view.current.version);
    const code = await store.get(apiKeys("digits").version(job.spec.version));
    expect(code).toBeDefined();
  });

  it("finds their code under its own keys, for an environment that must be built again", async () => {
    const { view } = await deploy("words");

    expect([...(await projectFilesOf(store, "digits", view.current)).keys()]).toEqual(["handler.py", "millrace.yaml"]);
  });

  it("stops the jobs of one that is removed, and no other's", async () => {
    await deploy("words");
    const own = await jobs.submit("digits", aSubmission(), ANN);
    const other = await jobs.submit("words", aSubmission(), ANN);
    const removed = hosting.remove("words");
    await expect.poll(() => store.size(`${apiKeys("digits").jobs}${other.spec.job}/stop.json`)).toBeDefined();

    // what its driver does then
    const pending = await readState(store, "digits", other.spec.job);
    const completing = await swapState(store, "digits", other.spec.job, pending, { state: "completing" });
    if (completing === undefined) throw new Error("somebody else moved it");
    await swapState(store, "digits", other.spec.job, completing, { state: "stopped" });

    await removed;
    expect(await store.size(`${apiKeys("digits").jobs}${own.spec.job}/stop.json`)).toBeUndefined();
  });
});
