/** Whether a job's results are still there: retention ends them (`services/batch-api/janitor/`). */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type JobSpec } from "../../protocol/jobs.ts";
import { jobKeys } from "../../protocol/keys.ts";
import { Problem } from "../../protocol/problems.ts";
import type { RetentionRecord } from "../../protocol/retention.ts";
import { readRecord } from "./stored.ts";

/** The record by which a job's results are handed out no more; undefined: they are. */
export async function endOfResults(store: ObjectStore, api: string, job: string): Promise<RetentionRecord | undefined> {
  const stored = await readRecord<RetentionRecord>(store, jobKeys(api, job).retention, JOB_FORMAT);
  return stored === undefined || stored.value.state === "kept" ? undefined : stored.value;
}

/** Throws `Problem` (results_removed), which says when and by which setting, for a job whose results are not kept any more. */
export async function refuseRemovedResults(
  store: ObjectStore,
  { api, job }: Pick<JobSpec, "api" | "job">,
): Promise<void> {
  const end = await endOfResults(store, api, job);
  if (end === undefined) return;
  throw new Problem("results_removed", `Job ${job} keeps no results since ${endInWords(end)}.`);
}

/** "2026-02-01, 90 days after its end (MILLRACE_RETENTION_RESULTS_DAYS)" */
export function endInWords({ at, days, setting }: RetentionRecord): string {
  const day = new Date(at).toISOString().slice(0, 10);
  return `${day}: they are kept for ${String(days)} ${days === 1 ? "day" : "days"} after a job's end (${setting})`;
}
