/** A project's folder, read and checked before anything is asked of a service. */
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { packProject } from "../services/project/project-folder.ts";
import { ProjectInvalid } from "../services/project/project-files.ts";
import { PROJECT_FILES, readProjectSpec } from "../services/project/project-spec.ts";
import { faultSentence } from "../services/protocol/problems.ts";
import { CliError } from "./cli-error.ts";
import type { Cli } from "./cli.ts";
import { problemError, type Client } from "./client.ts";
import type { apiToWire } from "../services/batch-api/routes/api-wire.ts";
import { CLI_EXIT } from "../services/protocol/exit-codes.ts";

export interface Project {
  readonly name: string;
  readonly archive: Buffer;
}

/** `api` chooses among several of a `cortex.yaml`. Throws `CliError`. */
export async function readProject(cli: Cli, folder: string, api: string | undefined): Promise<Project> {
  try {
    checkHasSpec(cli, folder);
    const { archive, files } = await packProject(resolve(cli.folder, folder), cli.home);
    const read = readProjectSpec(files, api);
    if (read.kind === "spec") return { name: read.spec.name, archive };
    if (read.kind === "faults")
      throw new CliError(read.faults.map((fault) => `${folder}: ${faultSentence(fault)}`).join("\n"));
    throw noSpec(folder);
  } catch (error) {
    if (error instanceof ProjectInvalid) throw new CliError(error.message, undefined, error);
    throw error;
  }
}

/** Before the folder is read: the wrong one may be large, and have faults that are none of a project's. */
function checkHasSpec(cli: Cli, folder: string): void {
  const path = resolve(cli.folder, folder);
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const here = PROJECT_FILES.some((name) => existsSync(join(path, name)));
  if (isFolder && path !== cli.home && !here) throw noSpec(folder);
}

function noSpec(folder: string): CliError {
  const fix = "add a millrace.yaml with name and handler, or name the folder that has one";
  return new CliError(`${folder} has neither millrace.yaml nor cortex.yaml; ${fix}`);
}

export interface DeployedApi {
  readonly change: "created" | "updated" | "unchanged";
  readonly api: ReturnType<typeof apiToWire>;
}

type DeployLine =
  | { readonly progress: string }
  | { readonly problem: { readonly status: number; readonly code: string; readonly detail: string } }
  | DeployedApi;

/** Deploys it; `progress` gets a sentence now and then. Throws `CliError`. */
export async function deployProject(
  client: Client,
  project: Project,
  progress: (sentence: string) => void,
): Promise<DeployedApi> {
  const headers = { "content-type": "application/gzip", accept: "application/x-ndjson" };
  const path = `/v1/apis/${encodeURIComponent(project.name)}`;
  for await (const line of client.lines(path, { method: "PUT", body: project.archive, headers })) {
    const told = JSON.parse(line) as DeployLine;
    if ("progress" in told) progress(told.progress);
    else if ("problem" in told) throw problemError(told.problem);
    else return told;
  }
  throw new CliError("the service ended the deployment without a word; look into its service.log", CLI_EXIT.failed);
}
