import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { unfinishedFolders } from "../../cli/unfinished.ts";
import { openFileStore, type FileStore } from "../../services/backends/object-store.files.ts";
import { encodeStored } from "../../services/batch-api/jobs/stored.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import { aJobSpec } from "../support/builders.ts";
import { CliUser } from "../support/a-cli.ts";

let user: CliUser;
let store: FileStore;
let folder: string;

beforeEach(async () => {
  user = await CliUser.create();
  folder = join(user.home, "photos");
  await mkdir(folder);
  store = await openFileStore({ root: join(user.root, "store") });
});
afterEach(async () => {
  await store.close();
  await user.remove();
});

const jobId = (at: number) => at.toString(16).padStart(16, "0");

async function putActive(api: string, job: string, spec: Buffer): Promise<void> {
  await store.put(jobKeys(api, job).spec, spec);
  await store.put(apiKeys(api).activeJob(job), Buffer.from("{}\n"));
}

function reading(job: string, path: string): Buffer {
  const input = {
    kind: "delimited_files",
    batch_size: 1,
    paths: [`file://${path}`],
    includes: [],
    excludes: [],
  } as const;
  return encodeStored(aJobSpec({ job, input }));
}

async function folders(): Promise<readonly string[]> {
  await store.close();
  const found = await unfinishedFolders(user.cli(), user.root);
  store = await openFileStore({ root: join(user.root, "store") });
  return found;
}

describe("folders of unfinished jobs", () => {
  it("are found beside a job whose spec is damaged, which says so itself", async () => {
    await putActive("digits", jobId(1), Buffer.from('{"format":1,"input":'));
    await putActive("digits", jobId(2), Buffer.from('{"format":1,"input":{}}'));
    await putActive("digits", jobId(3), reading(jobId(3), folder));

    expect(await folders()).toEqual([folder]);
  });

  it("are found of an API whose own record is damaged or gone", async () => {
    await putActive("gone", jobId(1), reading(jobId(1), folder));
    await putActive("digits", jobId(2), reading(jobId(2), join(folder, "x.jsonl")));
    await store.swap(apiKeys("digits").current, Buffer.from("{"), undefined);

    expect(await folders()).toEqual([folder, folder]);
  });

  it("are those of all jobs, however many there are", async () => {
    for (let at = 1; at <= 1_001; at += 1) await store.put(apiKeys("digits").activeJob(jobId(at)), Buffer.from("{}\n"));
    await putActive("digits", jobId(2_000), reading(jobId(2_000), folder));

    expect(await folders()).toEqual([folder]);
  });
});
