/** Builders of projects for tests. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import type { ProjectFiles } from "../../services/project/project-files.ts";

/** A project in memory: text by path. */
export function aProject(texts: Readonly<Record<string, string>>): ProjectFiles {
  return new Map(Object.entries(texts).map(([path, text]) => [path, { bytes: Buffer.from(text), executable: false }]));
}

/** Writes texts by path under a folder. */
export async function writeProject(folder: string, texts: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}
