import { verifyJob } from "../../services/batch-api/jobs/verify/verify.ts";
import { readState } from "../../services/batch-api/jobs/state-record.ts";
import type { ErrorRow, ResultRow, StateRecord } from "../../services/protocol/jobs.ts";
import { apiKeys, jobKeys } from "../../services/protocol/keys.ts";
import type { CompletionRecord } from "../../services/protocol/jobs.ts";
import type { LaneRecord } from "../../services/protocol/lanes.ts";
import { chargeProblems } from "./charges.ts";
import type { Cluster } from "./cluster.ts";
import { familyProblems, outsideService } from "./family.ts";
import type { UserJob } from "./user-job.ts";
import { API } from "./workload.ts";

/** What is wrong once all is over: with each job, and with what is left behind. */
export async function endProblems(cluster: Cluster): Promise<string[]> {
  const problems: string[] = [];
  for (const user of cluster.jobs) {
    const { id } = user;
    if (id === undefined) continue;
    const report = await verifyJob(cluster.store, API, id);
    for (const { name, invariants, findings } of report.checks) {
      for (const { problem } of findings) problems.push(`${invariants.join(" ")}: ${name}: ${problem}`);
    }
    const { state } = await readState(cluster.store, API, id);
    problems.push(...endedForAReason(cluster, user, state), ...(await rowProblems(cluster, user, id, state)));
    problems.push(...(await hookProblems(cluster, user, id)), ...(await familyProblems(outsideService(cluster), user)));
    if (cluster.faultFree) problems.push(...ranOnce(cluster, user, id));
  }
  problems.push(...(await leftovers(cluster)));
  return problems;
}

/** A job fails, stops or times out only where its user or its handler asked for that. */
function endedForAReason(cluster: Cluster, user: UserJob, { state, cause }: StateRecord): string[] {
  const { name, planned } = user;
  const { submission, script, stopAtMs } = planned;
  const wrong = (why: string) => [`job ${name} is ${state}, and ${why}: ${JSON.stringify(cause)}`];
  if (state === "stopped") return stopAtMs === undefined ? wrong("nobody stopped it") : [];
  if (state === "timed_out") return submission.timeoutSeconds === null ? wrong("it has no timeout") : [];
  if (state === "failed" && cause?.kind === "failed") {
    if (cause.reason === "completion_failed") return script.hook === "raises" ? [] : wrong("its hook does not fail");
    if (cause.reason === "split_failed" && planned.changesAfterMs !== undefined) {
      cluster.world.count("split of changed data");
      return [];
    }
    if (cause.reason !== "worker_error") return wrong("nothing is wrong with it");
    const excused = script.broken || cluster.world.chosenRates.startFails > 0;
    return excused ? [] : wrong("its handler can be started");
  }
  return [];
}

/** I1, I4, I16: each item is in the results or in the errors, once; a result is what the handler made of this very item. */
async function rowProblems(cluster: Cluster, user: UserJob, id: string, { state }: StateRecord): Promise<string[]> {
  const { name, planned } = user;
  const jobs = outsideService(cluster);
  const options = { follow: false, signal: new AbortController().signal };
  const problems: string[] = [];
  const seen = new Map<number, string>();
  const see = (index: number, where: string) => {
    const before = seen.get(index);
    if (before !== undefined)
      problems.push(`I16: item ${String(index)} of job ${name} is in ${before} and in ${where}`);
    seen.set(index, where);
  };
  const pieces: Buffer[] = [];
  for await (const piece of jobs.results(API, id, options)) pieces.push(piece);
  let last = -1;
  for (const line of Buffer.concat(pieces).toString("utf8").split("\n")) {
    if (line === "") continue;
    const row = JSON.parse(line) as ResultRow;
    see(row.index, "the results");
    if (row.index < last) problems.push(`I16: results of job ${name} are out of order at item ${String(row.index)}`);
    last = row.index;
    if (JSON.stringify(row.result) !== planned.items[row.index]) problems.push(`I4: the result of item ${String(row.index)} of job ${name} is another one's`); // prettier-ignore
  }
  const failed: ErrorRow[] = [];
  for await (const row of jobs.errors(API, id, options)) failed.push(row);
  for (const { index } of failed) see(index, "the errors");
  problems.push(...chargeProblems(user, failed));
  if (state !== "succeeded" && state !== "completed_with_failures") return problems;
  if (seen.size !== planned.items.length) problems.push(`I1: job ${name} has ${String(seen.size)} rows for ${String(planned.items.length)} items`); // prettier-ignore
  return problems;
}

/** I5, I6: the hook is recorded as done only where it ran to its end. */
async function hookProblems(cluster: Cluster, { name, planned }: UserJob, id: string): Promise<string[]> {
  const found = await cluster.store.read(jobKeys(API, id).completion);
  if (found === undefined) return [];
  const record = JSON.parse(found.bytes.toString("utf8")) as CompletionRecord;
  const { hooksEnded, hooksBegun } = cluster.watch.runsOf(id);
  if (record.state !== "done") return [];
  if (record.worker === null)
    return planned.script.hook === "none" ? [] : [`I6: the hook of job ${name} was passed over`];
  if (hooksEnded === 0)
    return [`I6: the hook of job ${name} is recorded as done, and began ${String(hooksBegun)} times and never ended`];
  return [];
}

/** Where nothing goes wrong every batch is sent once and runs once. */
function ranOnce(cluster: Cluster, user: UserJob, id: string): string[] {
  const runs = cluster.watch.runsOf(id);
  const problems: string[] = [];
  for (let batch = 0; batch < user.batches; batch += 1) {
    const count = runs.begun.get(batch) ?? 0;
    if (count !== 1)
      problems.push(
        `I18: batch ${String(batch)} of job ${user.name} ran ${String(count)} times, and nothing went wrong`,
      );
  }
  return problems;
}

/** I12: no lane, no worker and no marker outlives its job. */
async function leftovers(cluster: Cluster): Promise<string[]> {
  const problems: string[] = [];
  for (const { key } of (await cluster.store.list(apiKeys(API).lanes)).entries) {
    const found = await cluster.store.read(key);
    const lane = found === undefined ? undefined : (JSON.parse(found.bytes.toString("utf8")) as LaneRecord);
    if (typeof lane?.job === "string") problems.push(`I12: ${key} still names job ${lane.job}`);
  }
  return problems;
}
