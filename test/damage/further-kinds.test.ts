/** Objects that only some jobs and APIs have, damaged: a retry's marker, a stop, dead letters, retention, hosted APIs, unneeded code. */
import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../services/backends/object-store.memory.ts";
import { environmentEnd } from "../../services/backends/environment-archive.ts";
import { Apis } from "../../services/batch-api/apis/apis.ts";
import { Hosting } from "../../services/batch-api/apis/hosting.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import { packFiles } from "../../services/project/project-files.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { isFinal } from "../../services/protocol/states.ts";
import { storedKind } from "../../services/protocol/stored-kinds.ts";
import { aVersion } from "../support/builders.ts";
import { aProject } from "../support/project-folder.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { aJanitor, DAY, forever, jobAt, putEnded } from "../batch-api/janitor/support.ts";
import { NOW, StepClock } from "../batch-api/jobs/support.ts";
import { API, lister, ServiceOverDamage } from "./a-service.ts";
import { DamagedStore } from "./damaged-store.ts";
import { DAMAGES } from "./damages.ts";

const KEYS = apiKeys(API);
const RETRY = { items: "failed", version: "same" } as const;

/** How an error names an object and what to do about it. */
const named = (key: string): unknown => {
  const sentence = new RegExp(`${key} .*: it was damaged after it was written; ${storedKind(key)?.mend ?? "?"}`);
  return expect.objectContaining({ message: expect.stringMatching(sentence) as string });
};

/** Its service ends at once, however the test does. */
async function withService<T>(act: (service: ServiceOverDamage) => Promise<T>): Promise<T> {
  const service = await ServiceOverDamage.start();
  try {
    return await act(service);
  } finally {
    await service.stop();
  }
}

async function ended(service: ServiceOverDamage, job: string) {
  service.release();
  await service.until(async () => isFinal((await service.jobs.get(API, job)).state));
  return service.jobs.get(API, job);
}

async function rows(rowsOf: AsyncIterable<Buffer>): Promise<number> {
  let text = "";
  for await (const piece of rowsOf) text += piece.toString();
  return text.split("\n").length - 1;
}

const signal = new AbortController().signal;

describe.each(Object.keys(DAMAGES))("an object %s", (damage) => {
  const damaged = (bytes: Buffer = Buffer.from('{"format":1,"writes":1}\n')) => DAMAGES[damage]?.(bytes);
  const isRemoved = damaged() === undefined;

  it("that marks a retry: rows of the family stay, and a marker that is gone is told", async () => {
    await withService(async (service) => {
      const root = service.ids.ended;
      const retry = (await service.jobs.retry(API, root, RETRY, { principal: "me" })).spec.job;
      await ended(service, retry);
      const marker = jobKeys(API, root).retry(retry);
      const before = await rows(service.jobs.results(API, root, { follow: false, family: true, signal }));
      service.store.damage(marker, damaged());

      expect(await rows(service.jobs.results(API, root, { follow: false, family: true, signal }))).toBe(before);
      const { checks } = await verifyJob(service.store, API, retry);
      const findings = checks.flatMap(({ findings: found }) => found);
      expect(findings).toEqual(isRemoved ? [{ problem: `${marker} is gone, so that results of the family lack those of this job`, mend: "put an empty object there" }] : []); // prettier-ignore
    });
  });

  it("that says what failed in the job that is retried: verify names it, and so does the retry", async () => {
    await withService(async (service) => {
      const parent = service.ids.ended;
      const first = (await service.jobs.retry(API, parent, RETRY, { principal: "me" })).spec.job;
      await ended(service, first);
      const { entries } = await service.store.list(jobKeys(API, parent).part("errors-"));
      const key = entries[0]?.key ?? "";
      service.store.damage(key, damaged(await service.store.written(key)));
      const second = await service.jobs.retry(API, parent, RETRY, { principal: "you" }).catch((error: unknown) => error as Error); // prettier-ignore

      const { message } = second instanceof Error ? second : await ended(service, second.spec.job);
      expect(message).toContain(key);
      expect(service.fatal).toBeUndefined();
      for (const job of second instanceof Error ? [first] : [first, second.spec.job]) expect(JSON.stringify(await verifyJob(service.store, API, job))).not.toMatch(/SyntaxError|undefined/); // prettier-ignore
      if (!["removed", "emptied"].includes(damage)) expect(JSON.stringify(await verifyJob(service.store, API, first))).toContain(key); // prettier-ignore
    });
  });

  it("that asks for a stop: what it holds does not matter", async () => {
    await withService(async (service) => {
      const { running, waiting } = service.ids;
      await service.jobs.stop(API, running);
      service.store.damage(jobKeys(API, running).stop, damaged());

      const { state } = await ended(service, running);
      expect(isRemoved ? ["stopped", "succeeded"] : ["stopped"]).toContain(state);
      expect((await ended(service, waiting)).state).toBe("succeeded");
      expect(service.fatal).toBeUndefined();
    });
  });

  it("that counts dead letters: the job says so, and its rows and all other jobs are there", async () => {
    await withService(async (service) => {
      const deadLetterQueue = { arn: "arn:aws:sqs:eu-west-1:123456789012:failed", maxReceiveCount: 2 };
      const more = { deadLetterQueue, attempts: 1 };
      const job = await service.submit({ ...lister("delimited_files"), batchSize: 2 }, "dead", more);
      const key = jobKeys(API, job).deadLetters;
      service.store.damage(key, damaged());

      const { state, message } = await ended(service, job);
      if (isRemoved) expect(service.deadLetters.sent).not.toEqual([]);
      else expect([state, message]).toEqual(["failed", expect.stringContaining(`${key} `)]);
      expect(await rows(service.jobs.results(API, job, { follow: false, signal }))).toBe(12);
      for (const other of [service.ids.running, service.ids.waiting]) expect((await ended(service, other)).state).toBe("succeeded"); // prettier-ignore
      expect(service.fatal).toBeUndefined();
    });
  });

  it("that ends results: they are kept back in a sentence, the job itself is shown", async () => {
    await withService(async (service) => {
      const job = service.ids.ended;
      const key = jobKeys(API, job).retention;
      service.store.damage(key, damaged());
      const read = rows(service.jobs.results(API, job, { follow: false, signal }));

      if (isRemoved) expect(await read).toBe(12);
      else await expect(read).rejects.toEqual(named(key));
      expect(await service.view("ended")).toMatchObject({ state: "completed_with_failures" });
      await expect(service.jobs.retry(API, job, RETRY, { principal: "me" }).then(() => "accepted", (error: unknown) => error)).resolves.toEqual(isRemoved ? "accepted" : named(key)); // prettier-ignore
      const report = await verifyJob(service.store, API, job);
      expect(report.sound || JSON.stringify(report).includes(key)).toBe(true);
    });
  });

  it("that names hosted APIs: the host goes on, and who asks for others is told", async () => {
    const store = await aStoreWithVersion();
    const apis = new Apis({ store, environments: { build: () => Promise.resolve(null) }, stopAllJobs: () => Promise.resolve(), only: API }); // prettier-ignore
    const hosting = new Hosting({ store, apis, host: API, namesMax: 2, stopJobsOf: () => Promise.resolve() });
    await hosting.deploy("words", await anArchive("words"), () => undefined);
    store.damage(KEYS.hosted, damaged());

    const { views, damaged: told } = await hosting.list();
    expect(views.map(({ current }) => current.api)).toEqual([API]);
    expect(told.map(({ message }) => ({ message }))).toEqual(isRemoved ? [] : [named(KEYS.hosted)]);
    expect((await hosting.get(API)).current.api).toBe(API);
    await expect(hosting.get("words")).rejects.toEqual(isRemoved ? expect.objectContaining({ code: "api_not_found" }) : named(KEYS.hosted)); // prettier-ignore
    const again = hosting.deploy("words", await anArchive("words"), () => undefined);
    if (isRemoved) expect((await again).change).toBe("created");
    else await expect(again).rejects.toEqual(named(KEYS.hosted));
  });

  it("that is a hosted API's version: it is listed as damaged, beside the others", async () => {
    const store = await aStoreWithVersion();
    const apis = new Apis({ store, environments: { build: () => Promise.resolve(null) }, stopAllJobs: () => Promise.resolve(), only: API }); // prettier-ignore
    const hosting = new Hosting({ store, apis, host: API, namesMax: 2, stopJobsOf: () => Promise.resolve() });
    for (const name of ["words", "others"]) await hosting.deploy(name, await anArchive(name), () => undefined);
    const key = KEYS.version((await hosting.get("words")).current.version);
    store.damage(key, damaged());

    const { views, damaged: told } = await hosting.list();
    expect(views.map(({ current }) => current.api)).toEqual([API, "others"]);
    expect(told).toEqual([{ name: "words", message: expect.stringContaining(key) as string }]);
    await expect(hosting.get("words")).rejects.toEqual(named(key));
  });

  it("that counts unneeded code: no code is removed, the janitor and a deployment say why, and jobs expire", async () => {
    const clock = new StepClock();
    const store = await aStoreWithVersion(clock);
    await store.put(KEYS.version("old"), encodeStored(aVersion({ version: "old" })));
    const job = jobAt(NOW);
    await putEnded(store, job);
    store.damage(KEYS.unneeded, damaged());
    const { janitor, said } = aJanitor(store, clock);
    for (const day of [1, 30, 32, 32.1, 32.2]) {
      clock.ms = NOW + day * DAY;
      await janitor.pass(API, forever);
    }

    expect((await store.list(jobKeys(API, job).parts)).entries).toEqual([]);
    expect(said).toHaveLength(isRemoved ? 0 : 1);
    if (isRemoved) return;
    expect(await store.size(KEYS.version("old"))).toBeDefined();
    const apis = new Apis({ store, environments: { build: () => Promise.resolve(null) }, stopAllJobs: () => Promise.resolve() }); // prettier-ignore
    await expect(apis.deploy(API, await anArchive(API), () => undefined)).rejects.toEqual(named(KEYS.unneeded));
    store.damage(KEYS.unneeded, undefined); // as the sentence says
    expect((await apis.deploy(API, await anArchive(API), () => undefined)).change).toBe("updated");
  });

  it("that says that an environment is made: who waits for it is told", async () => {
    const store = new DamagedStore(new MemoryStore({ clock: new VirtualClock() }));
    const key = KEYS.environmentEnd("e1");
    store.damage(key, damaged());
    const read = environmentEnd({ store, api: API, key: "e1" });

    if (isRemoved) expect(await read).toBeUndefined();
    else await expect(read).rejects.toEqual(named(key));
  });
});

async function aStoreWithVersion(clock: StepClock | VirtualClock = new VirtualClock()): Promise<DamagedStore> {
  const store = new DamagedStore(new MemoryStore({ clock }));
  const version = aVersion();
  await store.put(KEYS.version(version.version), encodeStored(version));
  await store.put(KEYS.project(version.project), Buffer.from("archive"));
  await store.swap(KEYS.current, encodeStored({ version: version.version, generation: 1 }), undefined);
  return store;
}

function anArchive(name: string): Promise<Buffer> {
  const files = { "millrace.yaml": `name: ${name}\nhandler: {path: handler.py}\n`, "handler.py": `# ${name}\nclass Handler: ...\n` }; // prettier-ignore
  return packFiles(aProject(files));
}
