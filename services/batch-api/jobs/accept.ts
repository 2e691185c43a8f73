/**
 * Acceptance: keys/ → input/ → spec.json → active/, each put-if-absent, so that a crash after any step and a replay under
 * the same idempotency key complete one job, and a lost reply never makes two (invariant I13).
 */
import type { Random } from "../../backends/clock.ts";
import type { Dataset } from "../../backends/dataset.ts";
import type { ObjectStore } from "../../backends/object-store.ts";
import { JOB_FORMAT, type ApiVersion, type JobInput, type JobSpec } from "../../protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../protocol/keys.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { Problem } from "../../protocol/problems.ts";
import { jobId, jobStartedAt } from "../../protocol/ids.ts";
import type { Submission } from "../../protocol/submission.ts";
import { checkDeadLetters, checkSources } from "./acceptance-checks.ts";
import { bodyHash, candidateJob, claimKey, type Claim } from "./idempotency.ts";
import type { SubmitOptions } from "./job-service.ts";
import { encodeStored, readObject } from "./stored.ts";
import { currentVersion, versionOf } from "./versions.ts";

export interface AcceptDeps {
  readonly store: ObjectStore;
  readonly dataset: Dataset;
  readonly random: Random;
  /** Workers that one job may have; default `LIMITS.workersMax`. */
  readonly workersMax?: number;
  /** Whether failed batches can be sent to queues of users; default: no. */
  readonly sendsDeadLetters?: boolean;
}

/** So many collisions of 20 random bits within one millisecond do not happen; a bug that looks like it must not spin. */
const CANDIDATES_MAX = 16;

/** What is to become a job: a submission, or a retry (`retry.ts`). */
interface Order {
  /** Hash of what was asked: tells whether an idempotency key stands for the same. */
  readonly body: string;
  /** The items that stand in the request itself; absent: they lie elsewhere. */
  readonly items?: readonly Buffer[];
  /** Checks all that can be checked now. Throws `Problem`. */
  draft(): Promise<Omit<Draft, "accepted_at">>;
}

/** Makes a submission durable and answers the job as accepted; the same key and body answer the same job. Throws `Problem`. */
export async function accept(
  deps: AcceptDeps,
  api: string,
  submission: Submission,
  options: SubmitOptions,
): Promise<JobSpec> {
  const { input } = submission;
  const items = input.kind === "item_list" ? { items: input.items } : {};
  const draft = () => draftOf(deps, api, submission, options);
  return acceptOrder(deps, api, { body: bodyHash(submission), ...items, draft }, options);
}

/** Makes an order durable and answers the job as accepted; the same key and body answer the same job. Throws `Problem`. */
export async function acceptOrder(
  { store, random }: Pick<AcceptDeps, "store" | "random">,
  api: string,
  order: Order,
  options: SubmitOptions,
): Promise<JobSpec> {
  const now = await store.now();
  const mine: Claim = { job: jobId(now, random.hex(3)), submission: random.hex(16), body: order.body };

  const known = await claimKey(store, api, options, mine, "read");
  const accepted = known === undefined ? undefined : await findAccepted(store, api, known);
  if (accepted !== undefined) return completed(store, accepted);

  const draft = { ...(await order.draft()), accepted_at: now };
  const claim = await claimKey(store, api, options, mine, "write");
  refuseLate(await store.now(), claim.job);
  return completed(store, await writeJob(store, api, claim, draft, order));
}

async function draftOf(
  deps: AcceptDeps,
  api: string,
  submission: Submission,
  { hosted, warnings = [] }: SubmitOptions,
): Promise<Omit<Draft, "accepted_at">> {
  const { store } = deps;
  const version = await (hosted === undefined ? currentVersion(store, api) : versionOf(store, api, hosted.version));
  const workers = workersOf(deps, submission.workers, { workers: version.spec.workers, whose: "the API's own" });
  checkDeadLetters(submission, deps.sendsDeadLetters === true);
  return {
    ...(await prepare(deps, version, submission)),
    workers: workers.allowed,
    version: version.version,
    warnings: [...warnings, ...workers.warnings],
    ...(hosted === undefined ? {} : { hosted: hosted.name }),
  };
}

export type Draft = Omit<JobSpec, "format" | "job" | "api" | "submission">;

/** Everything that can be checked now, and the defaults of the API's version. */
async function prepare(
  deps: AcceptDeps,
  { spec }: ApiVersion,
  submission: Submission,
): Promise<Omit<Draft, "version" | "accepted_at" | "warnings" | "workers">> {
  const deadLetters = submission.deadLetterQueue;
  // With a dead-letter queue the whole batch is tried so often and never taken apart, as the predecessor did.
  const asked = deadLetters?.maxReceiveCount ?? submission.attempts ?? spec.attempts;
  const attempts = Math.min(asked, LIMITS.attemptsMax);
  return {
    config: submission.config,
    timeout_seconds: submission.timeoutSeconds,
    input: await jobInput(deps.dataset, submission, submission.input.batchSize ?? spec.batch_size),
    attempts,
    isolate: deadLetters === null && (submission.isolate ?? spec.isolate),
    batch_timeout_seconds:
      submission.batchTimeoutSeconds === undefined ? spec.batch_timeout_seconds : submission.batchTimeoutSeconds,
    priority: submission.priority,
    labels: submission.labels,
    dead_letter_queue: deadLetters === null ? null : { arn: deadLetters.arn, max_receive_count: attempts },
  };
}

/** A submission that asks for too many is told so; a default gives way, because nobody asked for it here. */
export function workersOf(
  { workersMax = LIMITS.workersMax }: Pick<AcceptDeps, "workersMax">,
  asked: number | undefined,
  usual: { readonly workers: number; readonly whose: string },
): { readonly allowed: number; readonly warnings: readonly string[] } {
  const most = String(workersMax);
  if (asked !== undefined && asked > workersMax) {
    const fix = `ask for at most ${most}, which is what this API's owner allows (workersMax)`;
    throw new Problem("invalid_body", "", [{ field: "workers", found: String(asked), fix }]);
  }
  if (asked !== undefined || usual.workers <= workersMax) return { allowed: asked ?? usual.workers, warnings: [] };
  const warning = `workers: ${usual.whose} ${String(usual.workers)} are cut to ${most}, which is what its owner allows (workersMax)`;
  return { allowed: workersMax, warnings: [warning] };
}

async function jobInput(dataset: Dataset, { input }: Submission, batchSize: number): Promise<JobInput> {
  if (input.kind === "item_list") {
    const bytes = input.items.reduce((sum, item) => sum + item.length + 1, 0);
    return { kind: input.kind, batch_size: batchSize, items: input.items.length, bytes };
  }
  const paths = await checkSources(dataset, input);
  const { kind, includes, excludes } = input;
  return { kind, batch_size: batchSize, paths, includes, excludes };
}

/** The spec under a claim's job ids, when some replica got that far. */
async function findAccepted(store: ObjectStore, api: string, claim: Claim): Promise<JobSpec | undefined> {
  for (let candidate = 0; candidate < CANDIDATES_MAX; candidate++) {
    const spec = await readObject<JobSpec>(store, jobKeys(api, candidateJob(claim, candidate)).spec, JOB_FORMAT);
    if (spec === undefined) return undefined;
    if (spec.submission === claim.submission) return spec;
  }
  return undefined;
}

/** Writes input and spec under the first job id that no other submission has. */
async function writeJob(store: ObjectStore, api: string, claim: Claim, draft: Draft, order: Order): Promise<JobSpec> {
  for (let candidate = 0; candidate < CANDIDATES_MAX; candidate++) {
    const job = candidateJob(claim, candidate);
    const keys = jobKeys(api, job);
    if (!(await stageItems(store, keys.items(0), order))) continue;
    const spec: JobSpec = { format: JOB_FORMAT, job, api, submission: claim.submission, ...draft };
    if (await store.put(keys.spec, encodeStored(spec))) return spec;
    const there = await readObject<JobSpec>(store, keys.spec, JOB_FORMAT);
    if (there?.submission === claim.submission) return there;
  }
  throw new Error(`no free job id in ${String(CANDIDATES_MAX)} draws: the source of randomness is broken`);
}

/** False when other items lie under this key: another submission drew the same job id. */
async function stageItems(store: ObjectStore, key: string, { items }: Order): Promise<boolean> {
  if (items === undefined) return true;
  const newline = Buffer.from("\n");
  const staged = Buffer.concat(items.flatMap((item) => [item, newline]));
  if (await store.put(key, staged)) return true;
  const there = await store.get(key);
  return there?.bytes.equals(staged) ?? false;
}

/** The last step. A job whose state was written is known to a driver, and may have ended: nothing is written any more. */
async function completed(store: ObjectStore, spec: JobSpec): Promise<JobSpec> {
  if ((await store.read(jobKeys(spec.api, spec.job).state)) !== undefined) return spec;
  const marker = apiKeys(spec.api).activeJob(spec.job);
  const now = await store.now();
  if (isLate(now, spec.job) && (await store.size(marker)) === undefined) refuseLate(now, spec.job);
  // Before anybody runs it: what its family has come to is asked of the root.
  if (spec.input.kind === "retry") {
    await store.put(jobKeys(spec.api, spec.input.root).retry(spec.job), Buffer.from("{}\n"));
  }
  await store.put(marker, Buffer.from("{}\n"));
  return spec;
}

/** What was not accepted for so long may be removed at any moment (`janitor/leftovers.ts`), so nobody builds on it. */
function refuseLate(now: number, job: string): void {
  if (!isLate(now, job)) return;
  const detail =
    `This submission, or an earlier one under its Idempotency-Key (job ${job}), began ${HOURS} hours ago or more and was not ` +
    "accepted, or its job is not kept any more: submit it under a new key";
  throw new Problem("conflict", detail);
}

const HOURS = String(LIMITS.submissionSecondsMax / 3600);

function isLate(now: number, job: string): boolean {
  return now - (jobStartedAt(job) ?? now) >= LIMITS.submissionSecondsMax * 1000;
}
