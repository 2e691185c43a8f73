/** The version of an API that new jobs get. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ApiVersion, type CurrentVersion } from "../../protocol/jobs.ts";
import { apiNameFault } from "../../protocol/api-names.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import { readNamed, readRecord } from "./stored.ts";

/** Throws `Problem` (api_not_found). */
export async function currentVersion(store: ObjectStore, api: string): Promise<ApiVersion> {
  const keys = apiKeys(api);
  // What is no name of an API is no key either.
  const current = apiNameFault(api) === undefined ? await readRecord<CurrentVersion>(store, keys.current) : undefined;
  if (current === undefined) {
    throw new Problem(
      "api_not_found",
      `no API is named ${JSON.stringify(api.slice(0, 100))}: deploy it first (millrace deploy)`,
    );
  }
  return versionOf(store, api, current.value.version);
}

/** A version that some object names. */
export async function versionOf(store: ObjectStore, api: string, version: string): Promise<ApiVersion> {
  return readNamed<ApiVersion>(store, apiKeys(api).version(version), JOB_FORMAT);
}
