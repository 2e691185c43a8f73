import { EnvironmentFailed } from "../../backends/environments.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { readArchive, type ProjectFiles } from "../../project/project-files.ts";
import type { ApiVersion } from "../../protocol/jobs.ts";
import { apiKeys } from "../../protocol/keys.ts";

/** The files of a version's project; `api` is whose keys it stands under. Throws `EnvironmentFailed` when the store has none, `ProjectInvalid` when they are damaged. */
export async function projectFilesOf(store: ObjectStore, api: string, { project }: ApiVersion): Promise<ProjectFiles> {
  const stored = await store.get(apiKeys(api).project(project));
  if (stored !== undefined) return readArchive(stored.bytes);
  const fix = "deploy the project again, or run pulumi up on the stack that owns it";
  throw new EnvironmentFailed(`the project's archive (sha256 ${project}) is not in the store; ${fix}`);
}
