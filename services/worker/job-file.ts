import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JobFiles } from "./job-files.ts";
import { jobSpecOf } from "./job-files.ts";
import { mergedConfig } from "./merged-config.ts";

/**
 * Writes `<folder>/job.json`, from which containers learn their job: the job spec as the predecessor laid it out, with the
 * API's config under the submission's. `total_batch_count` is in it when the split had ended before this worker started.
 */
export async function writeJobFile(
  folder: string,
  files: Pick<JobFiles, "spec" | "version" | "splitEnd">,
): Promise<void> {
  const { spec, version, splitEnd } = files;
  const job = { ...jobSpecOf(spec, splitEnd), config: mergedConfig(version.spec.config, spec.config) };
  await mkdir(folder, { recursive: true });
  const path = join(folder, "job.json");
  await writeFile(`${path}.new`, `${JSON.stringify(job, null, 2)}\n`);
  await rename(`${path}.new`, path); // a container that looks at once sees all of it
}
