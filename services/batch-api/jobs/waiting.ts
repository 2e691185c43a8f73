/** Why a pending job waits, in words, with the fix. */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type JobSpec } from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import type { LaneRecord } from "../../protocol/lanes.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { byGrant } from "../driver/waiting.ts";
import { UnreadableObject } from "../../protocol/stored.ts";
import { readObject, readRecord } from "./stored.ts";

const NAMED_MAX = 3;
/** The usual order: three of four grants go by priority first. */
const granted = byGrant(1);

/** A sentence about the lanes and the jobs ahead of this one (by priority, then age). */
export async function waitingMessage(store: ObjectStore, lanes: number, spec: JobSpec): Promise<string> {
  const holders = await laneHolders(store, spec.api, lanes);
  if (holders.includes(spec.job)) return "Has its lane; its driver is starting.";
  if (holders.length < lanes) return "Accepted; a lane is free, and a driver takes the job up within seconds.";
  const ahead = await jobsAhead(store, spec, new Set(holders));
  const held =
    lanes === 1
      ? `the only lane is held by job ${named(holders)}`
      : `all ${String(lanes)} lanes are held by jobs ${named(holders)}`;
  const queue =
    ahead.length === 0 ? "it is the next one" : `${String(ahead.length)} waiting before it: ${named(ahead)}`;
  return `Waits for a lane: ${held}; ${queue}. It starts when those end; to start it sooner stop one of them, or raise lanes.`;
}

async function laneHolders(store: ObjectStore, api: string, lanes: number): Promise<string[]> {
  const holders: string[] = [];
  for (let lane = 0; lane < lanes; lane++) {
    const record = await readRecord<LaneRecord>(store, apiKeys(api).lane(lane)).catch(noneWhenUnreadable);
    if (record?.value.job !== undefined && record.value.job !== null) holders.push(record.value.job);
  }
  return holders;
}

/** Waiting jobs that are granted before this one; looks at no more than one page of them. */
async function jobsAhead(store: ObjectStore, spec: JobSpec, running: ReadonlySet<string>): Promise<string[]> {
  const prefix = apiKeys(spec.api).active;
  const page = await store.list(prefix, { limit: LIMITS.listPageMax });
  const ahead: JobSpec[] = [];
  for (const { key } of page.entries) {
    const job = key.slice(prefix.length);
    if (job === spec.job || running.has(job)) continue;
    const other = await readObject<JobSpec>(store, jobKeys(spec.api, job).spec, JOB_FORMAT).catch(noneWhenUnreadable);
    if (other !== undefined && granted(other, spec) < 0) ahead.push(other);
  }
  return ahead.sort(granted).map(({ job }) => job);
}

/** Nobody waits for a job that no driver can read, and a lane that cannot be read is begun anew. */
function noneWhenUnreadable(error: unknown): undefined {
  if (!(error instanceof UnreadableObject)) throw error;
  return undefined;
}

function named(jobs: readonly string[]): string {
  const more = jobs.length - NAMED_MAX;
  return jobs.slice(0, NAMED_MAX).join(", ") + (more > 0 ? ` and ${String(more)} more` : "");
}
