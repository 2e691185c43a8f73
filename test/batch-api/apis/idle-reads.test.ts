/** What an idle service asks its store for, again and again: it must not grow with the jobs that have ended. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeFileSystem, type FileSystem } from "../../../services/backends/folder/file-system.ts";
import { openFileStore } from "../../../services/backends/object-store.files.ts";
import type { ObjectStore } from "../../../services/backends/object-store.ts";
import { Apis } from "../../../services/batch-api/apis/apis.ts";
import { Allowance } from "../../../services/batch-api/janitor/allowance.ts";
import { allFolders } from "../../../services/batch-api/janitor/objects.ts";
import { encodeStored } from "../../../services/batch-api/jobs/stored.ts";
import { API_PREFIX, apiKeys, jobKeys } from "../../../services/protocol/keys.ts";
import { aVersion } from "../../support/builders.ts";
import { anS3Store } from "../../support/an-s3-store.ts";
import { startFakeS3 } from "../../support/fake-s3.ts";

const NAMES = ["digits", "digits-2", "words"];
const jobOf = (number: number) => number.toString(16).padStart(16, "0");

async function deployAll(store: ObjectStore): Promise<void> {
  for (const api of NAMES) {
    const version = aVersion({ api });
    await store.put(apiKeys(api).version(version.version), encodeStored(version));
    await store.swap(apiKeys(api).current, encodeStored({ version: version.version, generation: 1 }), undefined);
  }
}

async function endJobs(store: ObjectStore, jobs: number): Promise<void> {
  for (let number = 0; number < jobs; number += 1) {
    await store.put(apiKeys("digits").endedJob("succeeded", jobOf(number)), Buffer.alloc(0));
    await store.put(jobKeys("digits", jobOf(number)).spec, Buffer.from("{}"));
    await store.put(jobKeys("digits", jobOf(number)).ledger("a", 0), Buffer.from("{}"));
  }
}

function apisOf(store: ObjectStore): Apis {
  const environments = { build: () => Promise.reject(new Error("not here")) };
  return new Apis({ store, environments, stopAllJobs: () => Promise.resolve() });
}

describe("the names of APIs on files", () => {
  let root = "";
  beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "millrace-idle-"))));
  afterEach(async () => await rm(root, { recursive: true }));

  /** A store, and what is asked of its folders. */
  async function watched() {
    const calls: string[] = [];
    const note = <T>(name: string, path: string, call: (path: string) => Promise<T>): Promise<T> => {
      calls.push(`${name} ${path.slice(root.length + 1)}`);
      return call(path);
    };
    const files: FileSystem = {
      ...nodeFileSystem,
      stat: (path) => note("stat", path, nodeFileSystem.stat),
      readdir: (path) => note("readdir", path, nodeFileSystem.readdir),
    };
    const store = await openFileStore({ root, files, sync: "none" });
    const callsOf = async (act: () => Promise<unknown>) => {
      calls.length = 0;
      await act();
      return [...calls];
    };
    return { store, callsOf };
  }

  it("come from their own folder, however many jobs have ended", async () => {
    const { store, callsOf } = await watched();
    await deployAll(store);
    const apis = apisOf(store);
    expect(await apis.withJobs()).toEqual(["digits-2", "digits", "words"]);
    const before = await callsOf(() => apis.withJobs());

    await endJobs(store, 20);

    expect(await callsOf(() => apis.withJobs())).toEqual(before);
    expect(before.length).toBeLessThan(6 * NAMES.length);
    expect((await apis.list()).views.map(({ current }) => current.api)).toEqual(["digits-2", "digits", "words"]);
  });

  it("cost a janitor no look into jobs, whose own names cost one look each", async () => {
    const { store, callsOf } = await watched();
    await deployAll(store);
    await endJobs(store, 20);
    const allowance = new Allowance(Infinity, new AbortController().signal);

    const ofApis = await callsOf(() => allFolders(store, API_PREFIX, allowance));
    const ofJobs = await callsOf(() => allFolders(store, apiKeys("digits").jobs, allowance));

    expect(ofApis.filter((call) => /jobs|ended/.test(call))).toEqual([]);
    expect(ofJobs).toHaveLength(1 + 20 * 2);
  });
});

describe("the names of APIs on S3", () => {
  it("are one request, however many keys the APIs have", async () => {
    const fake = await startFakeS3();
    try {
      const { store } = anS3Store(fake);
      await deployAll(store);
      await endJobs(store, 20);
      const apis = apisOf(store);
      fake.seen.length = 0;

      expect(await apis.withJobs()).toEqual(["digits-2", "digits", "words"]);

      const asked = fake.seen.map(({ method, key }) => `${method} ${key}`);
      expect(asked).toEqual(["GET ", ...["digits-2", "digits", "words"].map((api) => `GET apis/${api}/current.json`)]);
    } finally {
      await fake.close();
    }
  });
});
