/**
 * A retry: a new job of those items of an ended one that failed, or were skipped, by pointer. What the request leaves out is as
 * the ended job had it, but for the version, which is the newest one.
 */
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, rootOf, type ApiVersion, type JobSpec, type Manifest, type RetryInput } from "../../protocol/jobs.ts"; // prettier-ignore
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { Problem, type Fault } from "../../protocol/problems.ts";
import { SPLIT_FORMAT, type SplitEnd } from "../../protocol/pointers.ts";
import type { RetryRequest } from "../../protocol/retry.ts";
import { isFinal } from "../../protocol/states.ts";
import type { StateRecord } from "../../protocol/jobs.ts";
import { acceptOrder, workersOf, type AcceptDeps, type Draft } from "./accept.ts";
import { checkSources } from "./acceptance-checks.ts";
import { retryHash } from "./idempotency.ts";
import type { SubmitOptions } from "./job-service.ts";
import { refuseRemovedResults } from "./kept-results.ts";
import { readState } from "./state-record.ts";
import { readObject } from "./stored.ts";
import { currentVersion, versionOf } from "./versions.ts";
import { readSpec } from "./view.ts";

/** Makes a retry durable and answers the new job; the same key and body answer the same job. Throws `Problem`. */
export async function acceptRetry(
  deps: AcceptDeps,
  api: string,
  job: string,
  request: RetryRequest,
  options: SubmitOptions,
): Promise<JobSpec> {
  const draft = () => draftOf(deps, api, job, request, options);
  return acceptOrder(deps, api, { body: retryHash(job, request), draft }, options);
}

async function draftOf(
  deps: AcceptDeps,
  api: string,
  job: string,
  request: RetryRequest,
  { hosted, warnings = [] }: SubmitOptions,
): Promise<Omit<Draft, "accepted_at">> {
  const { store } = deps;
  const parent = await readSpec(store, api, job);
  const { state } = await readState(store, api, job);
  if (!isFinal(state.state)) throw notFinal(parent, state);
  refuseContradictions(parent, request);
  const version = await versionFor(store, parent, request, hosted);
  const workers = workersOf(deps, request.workers, { workers: parent.workers, whose: `job ${job}'s` });
  const { input, notes } = await inputOf(deps, parent, state, request);
  return {
    config: request.config ?? parent.config,
    timeout_seconds: request.timeoutSeconds === undefined ? parent.timeout_seconds : request.timeoutSeconds,
    input,
    attempts: request.attempts ?? parent.attempts,
    isolate: request.isolate ?? parent.isolate,
    batch_timeout_seconds:
      request.batchTimeoutSeconds === undefined ? parent.batch_timeout_seconds : request.batchTimeoutSeconds,
    priority: request.priority ?? parent.priority,
    labels: request.labels ?? parent.labels,
    dead_letter_queue: parent.dead_letter_queue,
    workers: workers.allowed,
    version: version.version,
    warnings: [...warnings, ...workers.warnings, ...notes],
    ...(parent.hosted === undefined ? {} : { hosted: parent.hosted }),
  };
}

function notFinal({ job }: JobSpec, { state }: StateRecord): Problem {
  const fix = `wait for its end (millrace watch ${job}) or stop it first (millrace stop ${job})`;
  return new Problem("job_is_not_final", `Job ${job} is ${state}, and only a job that has ended is retried: ${fix}.`);
}

/** Failed batches of the job went to a queue, whole, and so will those of its retry. */
function refuseContradictions({ job, dead_letter_queue: queue }: JobSpec, { attempts, isolate }: RetryRequest): void {
  if (queue === null) return;
  const faults: Fault[] = [];
  const found = `a job with dead_letter_queue (${job})`;
  if (attempts !== undefined) faults.push({ field: "attempts", found, fix: "its max_receive_count says the attempts; remove one" }); // prettier-ignore
  if (isolate === true) faults.push({ field: "isolate", found, fix: "its batches go to the queue whole; remove this" });
  if (faults.length > 0) throw new Problem("invalid_body", "", faults);
}

async function versionFor(
  store: ObjectStore,
  { api, job, version }: JobSpec,
  { version: asked }: RetryRequest,
  hosted: SubmitOptions["hosted"],
): Promise<ApiVersion> {
  const newest = await (hosted === undefined ? currentVersion(store, api) : versionOf(store, api, hosted.version));
  if (asked === "newest" || newest.version === version) return newest;
  const same = await readObject<ApiVersion>(store, apiKeys(api).version(version), JOB_FORMAT);
  if (same !== undefined) return same;
  const fix = `leave version out to run the newest one, ${newest.version}`;
  throw new Problem("version_gone", `Version ${version}, which job ${job} ran, is not there any more: ${fix}.`);
}

/** What the new job's items are, and what of it cannot be had, in sentences. */
async function inputOf(
  deps: AcceptDeps,
  parent: JobSpec,
  state: StateRecord,
  { items: retried, batchSize }: RetryRequest,
): Promise<{ readonly input: RetryInput; readonly notes: readonly string[] }> {
  const { store } = deps;
  await refuseRemovedResults(store, parent);
  const { manifest, end } = await readEnd(store, parent);
  const uncut = end.complete ? undefined : splitFault(state);
  const remaining = retried === "failed_and_skipped" && !end.complete && uncut === undefined;
  const { items_failed: failed } = manifest.counts;
  const skipped = manifest.skipped.items;
  if (failed + (retried === "failed" ? 0 : skipped) === 0 && !remaining) {
    const more = skipped > 0 || (!end.complete && uncut === undefined);
    throw nothing(parent, { items: end.items, succeeded: manifest.counts.items_succeeded, more, uncut });
  }
  await checkData(deps, parent, { manifest, end, remaining });
  await checkFamily(store, parent);
  const input: RetryInput = {
    kind: "retry",
    batch_size: batchSize ?? parent.input.batch_size,
    retry_of: parent.job,
    root: rootOf(parent),
    retried,
    remaining,
  };
  const rest = `the input behind item ${String(end.items)} could not be cut into items and is not retried: ${uncut ?? ""}`;
  return { input, notes: retried === "failed_and_skipped" && uncut !== undefined ? [`items: ${rest}`] : [] };
}

/** Why the input could not be cut to its end; undefined: nothing is wrong with it. */
function splitFault({ cause }: StateRecord): string | undefined {
  return cause?.kind === "failed" && cause.reason === "split_failed" ? cause.message : undefined;
}

async function readEnd(store: ObjectStore, { api, job }: JobSpec) {
  const keys = jobKeys(api, job);
  const manifest = await readObject<Manifest>(store, keys.manifest, JOB_FORMAT);
  if (manifest === undefined) throw goneData(job, keys.manifest);
  const end = await readObject<SplitEnd>(store, keys.splitEnd, SPLIT_FORMAT);
  if (end === undefined) throw goneData(job, keys.splitEnd);
  return { manifest, end };
}

function goneData(job: string, key: string): Problem {
  return new Problem("job_data_gone", `Job ${job} cannot be retried: ${key} is gone from the store; submit its data again.`); // prettier-ignore
}

interface Found {
  readonly items: number;
  readonly succeeded: number;
  /** Items were skipped, or not even cut. */
  readonly more: boolean;
  readonly uncut: string | undefined;
}

function nothing({ job }: JobSpec, { items, succeeded, more, uncut }: Found): Problem {
  const sentence = more
    ? `No item of job ${job} failed, and some were skipped: to run those, ask for items "failed_and_skipped" (millrace retry ${job} --skipped).`
    : uncut !== undefined
      ? `Nothing of job ${job} can be retried: its input could not be cut into items (${uncut}); mend it and submit it again.`
      : items === 0
        ? `Job ${job} had no items: there is nothing to retry.`
        : `${succeeded === 1 ? "The one item" : `All ${String(succeeded)} items`} of job ${job} succeeded: there is nothing to retry.`;
  return new Problem("nothing_to_retry", sentence);
}

/** Of data that is gone altogether a retry would only make as many errors again. */
async function checkData(
  { store, dataset }: AcceptDeps,
  parent: JobSpec,
  { manifest, end, remaining }: { readonly manifest: Manifest; readonly end: SplitEnd; readonly remaining: boolean },
): Promise<void> {
  const keys = jobKeys(parent.api, parent.job);
  const needed = manifest.errors.map(({ key }) => key);
  if (end.splits > 0) needed.push(keys.split(0), keys.split(end.splits - 1));
  const root = await readObject<JobSpec>(store, jobKeys(parent.api, rootOf(parent)).spec, JOB_FORMAT);
  if (root === undefined) throw goneData(parent.job, jobKeys(parent.api, rootOf(parent)).spec);
  const { input } = root;
  const staged = input.kind === "item_list" || (input.kind === "file_path_lister" && end.items > 0);
  if (staged) needed.push(jobKeys(root.api, root.job).items(0));
  for (const key of needed) if ((await store.size(key)) === undefined) throw goneData(parent.job, key);
  if (input.kind !== "delimited_files" && !(input.kind === "file_path_lister" && remaining)) return;
  await checkSources(dataset, input).catch((error: unknown) => {
    if (!(error instanceof Problem) || (error.code !== "source_missing" && error.code !== "source_no_match"))
      throw error;
    throw new Problem("job_data_gone", `The data of job ${parent.job} is gone: ${error.message}`, [], { cause: error });
  });
}

async function checkFamily(store: ObjectStore, parent: JobSpec): Promise<void> {
  const most = LIMITS.familyRetriesMax;
  const { entries } = await store.list(jobKeys(parent.api, rootOf(parent)).retries, { limit: most });
  if (entries.length < most) return;
  const detail = `Items of job ${rootOf(parent)} were retried ${String(most)} times, which is the most: submit those that still fail as a new job.`;
  throw new Problem("retried_too_often", detail);
}
