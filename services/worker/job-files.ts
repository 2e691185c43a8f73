import { hash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { ObjectStore } from "../backends/object-store.ts";
import { apiOf, type ApiVersion, type JobSpec } from "../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../protocol/keys.ts";
import type { SplitEnd } from "../protocol/pointers.ts";
import { DamagedObject, parseStored } from "../protocol/stored.ts";
import type { WorkerBackends } from "./backends.ts";
import type { WorkerConfig } from "./config.ts";
import { mergedConfig } from "./merged-config.ts";
import type { HandlerInit } from "../protocol/frames.ts";

export interface JobFiles {
  readonly spec: JobSpec;
  readonly version: ApiVersion;
  /** Absolute path of the unpacked project. */
  readonly project: string;
  /** Command of the Python that runs its handler. */
  readonly python: string;
  readonly splitEnd: SplitEnd | undefined;
}

/** Reads what a worker needs of its job, and lays its project out in the scratch folder. */
export async function loadJob(
  { store, python: pythonOf }: Pick<WorkerBackends, "store" | "python">,
  config: WorkerConfig,
  systemPython: string,
): Promise<JobFiles> {
  const { api, job } = config.identity;
  const spec = await readJson<JobSpec>(store, jobKeys(api, job).spec);
  const version = await readJson<ApiVersion>(store, apiKeys(api).version(spec.version));
  const projects = join(config.scratch, "projects");
  const project = await unpacked(store, projects, api, version.project);
  const { environment } = version;
  const python = environment === null ? systemPython : await pythonOf(environment);
  const endKey = jobKeys(api, job).splitEnd;
  const end = await store.get(endKey);
  const splitEnd = end === undefined ? undefined : parseStored<SplitEnd>(endKey, end.bytes);
  return { spec, version, project, python, splitEnd };
}

/** What a Python handler is told when it starts. `total_batch_count` is left out while the split runs: it waits when read. */
export function handlerInit({ spec, version, project, splitEnd }: JobFiles): Omit<HandlerInit, "nonce"> {
  const { handler, config, cortex_project } = version.spec;
  if (handler.kind !== "python") throw new Error(`a handler of kind ${handler.kind} is told nothing by frames`);
  return {
    project,
    path: handler.path,
    python_path: handler.python_path,
    config: mergedConfig(config, spec.config),
    job_spec: jobSpecOf(spec, splitEnd),
    log_level: handler.log_level,
    cortex_project,
  };
}

/** The job as the handler is told it. */
export function jobSpecOf(spec: JobSpec, splitEnd: SplitEnd | undefined): Record<string, unknown> {
  const { dead_letter_queue: deadLetters } = spec;
  return {
    job_id: spec.job,
    api_name: apiOf(spec),
    kind: "BatchAPI",
    workers: spec.workers,
    config: spec.config,
    api_id: spec.version,
    sqs_url: "",
    timeout: spec.timeout_seconds,
    sqs_dead_letter_queue: deadLetters,
    start_time: new Date(spec.accepted_at).toISOString(),
    ...(splitEnd === undefined ? {} : { total_batch_count: splitEnd.batches }),
  };
}

/** The project's folder. Most workers find it there: what reads archives is loaded only when it is not. */
async function unpacked(store: ObjectStore, folder: string, api: string, sha256: string): Promise<string> {
  const there = join(folder, sha256);
  if (await isFolder(there)) return there;
  const found = await store.get(apiKeys(api).project(sha256));
  const key = apiKeys(api).project(sha256);
  if (found === undefined) throw new DamagedObject(key, "is gone");
  if (hash("sha256", found.bytes, "hex") !== sha256)
    throw new DamagedObject(key, "is not the archive that it is named by");
  const { unpackOnce } = await import("../backends/project-archive.ts");
  return unpackOnce(folder, sha256, found.bytes);
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isDirectory(),
    () => false, // it is made below
  );
}

async function readJson<T>(store: ObjectStore, key: string): Promise<T> {
  const found = await store.get(key);
  if (found === undefined) throw new DamagedObject(key, "is gone");
  return parseStored<T>(key, found.bytes);
}
