/** Folders that the unfinished jobs of a root read: they were allowed when the jobs were accepted. */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { filePath } from "../services/protocol/dataset-uris.ts";
import { openFileStore } from "../services/backends/object-store.files.ts";
import type { ObjectStore } from "../services/backends/object-store.ts";
import { apiKeys, jobKeys } from "../services/protocol/keys.ts";
import { JOB_FORMAT, rootOf, type JobSpec } from "../services/protocol/jobs.ts";
import { UnreadableObject } from "../services/protocol/stored.ts";
import { readObject } from "../services/batch-api/jobs/stored.ts";
import type { Cli } from "./cli.ts";
import { storedApis } from "./stored.ts";

export async function unfinishedFolders(cli: Cli, root: string): Promise<readonly string[]> {
  const store = await openFileStore({ root: join(root, "store") });
  try {
    const folders: string[] = [];
    for (const api of await storedApis(cli, root, store).withJobs()) {
      for await (const job of activeJobs(store, api)) {
        const spec = await specOf(store, api, job);
        // A retry reads what the job read that its family began with.
        const read = spec === undefined ? undefined : await specOf(store, api, rootOf(spec));
        if (read !== undefined) folders.push(...(await foldersOf(read)));
      }
    }
    return folders;
  } finally {
    await store.close();
  }
}

async function* activeJobs(store: ObjectStore, api: string): AsyncGenerator<string> {
  const { active } = apiKeys(api);
  let after: string | undefined;
  do {
    const page = await store.list(active, after === undefined ? {} : { after });
    for (const { key } of page.entries) yield key.slice(active.length);
    after = page.next;
  } while (after !== undefined);
}

async function specOf(store: ObjectStore, api: string, job: string): Promise<JobSpec | undefined> {
  try {
    return await readObject<JobSpec>(store, jobKeys(api, job).spec, JOB_FORMAT);
  } catch (error) {
    if (error instanceof UnreadableObject) return undefined; // the job itself says so, and others go on
    throw error;
  }
}

async function foldersOf({ input }: JobSpec): Promise<readonly string[]> {
  if (input.kind === "item_list" || input.kind === "retry") return [];
  const paths = input.paths.map(filePath).filter((path) => path !== undefined);
  return Promise.all(paths.map(async (path) => ((await isFolder(path)) ? path : dirname(path))));
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
