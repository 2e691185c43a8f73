/** Folders that the unfinished jobs of a root read: they were allowed when the jobs were accepted. */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { filePath } from "../services/protocol/dataset-uris.ts";
import { openFileStore } from "../services/backends/object-store.files.ts";
import { apiKeys, jobKeys } from "../services/protocol/keys.ts";
import type { JobSpec } from "../services/protocol/jobs.ts";
import type { Cli } from "./cli.ts";
import { storedApis } from "./stored.ts";

export async function unfinishedFolders(cli: Cli, root: string): Promise<readonly string[]> {
  const store = await openFileStore({ root: join(root, "store") });
  try {
    const folders: string[] = [];
    for (const { current } of await storedApis(cli, root, store).list()) {
      const { active } = apiKeys(current.api);
      for (const { key } of (await store.list(active)).entries) {
        const spec = await store.get(jobKeys(current.api, key.slice(active.length)).spec);
        if (spec !== undefined) folders.push(...(await foldersOf(JSON.parse(spec.bytes.toString()) as JobSpec)));
      }
    }
    return folders;
  } finally {
    await store.close();
  }
}

async function foldersOf({ input }: JobSpec): Promise<readonly string[]> {
  if (input.kind === "item_list") return [];
  const paths = input.paths.map(filePath).filter((path) => path !== undefined);
  return Promise.all(paths.map(async (path) => ((await isFolder(path)) ? path : dirname(path))));
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
