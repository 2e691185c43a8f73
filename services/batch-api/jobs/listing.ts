/** An API's jobs, newest first, from the markers: job ids sort so. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { apiKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { Problem } from "../../protocol/problems.ts";
import { FINAL_STATES, isFinal, type JobState } from "../../protocol/states.ts";
import { isJobId } from "../../protocol/ids.ts";
import type { JobList, JobView } from "./job-service.ts";
import { viewJob, type ViewDeps } from "./view.ts";

export interface ListQuery {
  readonly state?: JobState;
  readonly limit?: number;
  /** The last job of the former page. */
  readonly cursor?: string;
  /** Of this API alone, which the one of the call hosts; default: of itself. */
  readonly hosted?: string;
}

const VIEWS_AT_ONCE = 8;

/** A page of jobs; `next` is there when there may be more. Throws `Problem` for a cursor that is none. */
export async function listJobs(deps: ViewDeps, api: string, query: ListQuery): Promise<JobList> {
  const limit = Math.max(1, Math.min(query.limit ?? LIMITS.jobsPageMax, LIMITS.jobsPageMax));
  if (query.cursor !== undefined && !isJobId(query.cursor)) {
    throw new Problem("invalid_request", "", [
      {
        field: "cursor",
        found: "a text that no page ended with",
        fix: "give `next` of the page before, or leave it out",
      },
    ]);
  }
  const jobs: JobView[] = [];
  let after = query.cursor;
  for (;;) {
    const ids = await markedJobs(deps.store, api, query.state, after, limit);
    for (const [at, view] of (await views(deps, api, ids)).entries()) {
      after = ids[at];
      if (
        view === undefined ||
        view.spec.hosted !== query.hosted ||
        (query.state !== undefined && view.state !== query.state)
      )
        continue;
      jobs.push(view);
      if (jobs.length < limit) continue;
      const more = at + 1 < ids.length || ids.length === limit;
      return more && after !== undefined ? { jobs, next: after } : { jobs };
    }
    if (ids.length < limit) return { jobs };
  }
}

/** Up to `limit` ids after one, from the markers that can hold such a state. */
async function markedJobs(
  store: ObjectStore,
  api: string,
  state: JobState | undefined,
  after: string | undefined,
  limit: number,
): Promise<readonly string[]> {
  const keys = apiKeys(api);
  const ended = state === undefined ? FINAL_STATES : isFinal(state) ? [state] : [];
  // `active/` is read first: a job that ends meanwhile gets its `ended/` marker before that one goes, so none is missed.
  const prefixes = [keys.active, ...ended.map((final) => keys.endedJob(final, ""))];
  const found = new Set<string>();
  for (const prefix of prefixes) {
    const page = await store.list(prefix, after === undefined ? { limit } : { after: prefix + after, limit });
    for (const { key } of page.entries) found.add(key.slice(prefix.length));
  }
  return [...found].sort().slice(0, limit);
}

async function views(deps: ViewDeps, api: string, ids: readonly string[]): Promise<readonly (JobView | undefined)[]> {
  const found: (JobView | undefined)[] = [];
  for (let at = 0; at < ids.length; at += VIEWS_AT_ONCE) {
    found.push(...(await Promise.all(ids.slice(at, at + VIEWS_AT_ONCE).map((job) => viewOrNone(deps, api, job)))));
  }
  return found;
}

async function viewOrNone(deps: ViewDeps, api: string, job: string): Promise<JobView | undefined> {
  try {
    return await viewJob(deps, api, job);
  } catch (error) {
    // A marker without a job: it was removed between the two reads.
    if (error instanceof Problem && error.code === "job_not_found") return undefined;
    throw error;
  }
}
