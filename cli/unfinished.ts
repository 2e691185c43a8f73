/** Folders that the unfinished jobs of a root read: they were allowed when the jobs were accepted. */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { filePath } from "../services/protocol/dataset-uris.ts";
import { openFileStore } from "../services/backends/object-store.files.ts";
import type { ObjectStore } from "../services/backends/object-store.ts";
import { apiKeys, jobKeys } from "../services/protocol/keys.ts";
import { rootOf, type JobSpec } from "../services/protocol/jobs.ts";
import type { Cli } from "./cli.ts";
import { storedApis } from "./stored.ts";

export async function unfinishedFolders(cli: Cli, root: string): Promise<readonly string[]> {
  const store = await openFileStore({ root: join(root, "store") });
  try {
    const folders: string[] = [];
    for (const { current } of await storedApis(cli, root, store).list()) {
      const { active } = apiKeys(current.api);
      for (const { key } of (await store.list(active)).entries) {
        const spec = await specOf(store, current.api, key.slice(active.length));
        // A retry reads what the job read that its family began with.
        const read = spec === undefined ? undefined : await specOf(store, current.api, rootOf(spec));
        if (read !== undefined) folders.push(...(await foldersOf(read)));
      }
    }
    return folders;
  } finally {
    await store.close();
  }
}

async function specOf(store: ObjectStore, api: string, job: string): Promise<JobSpec | undefined> {
  const found = await store.get(jobKeys(api, job).spec);
  return found && (JSON.parse(found.bytes.toString()) as JobSpec);
}

async function foldersOf({ input }: JobSpec): Promise<readonly string[]> {
  if (input.kind === "item_list" || input.kind === "retry") return [];
  const paths = input.paths.map(filePath).filter((path) => path !== undefined);
  return Promise.all(paths.map(async (path) => ((await isFolder(path)) ? path : dirname(path))));
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
