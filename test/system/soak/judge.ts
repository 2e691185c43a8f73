/** What must be so of each job when a soak is over, by its state, its rows, its errors, and what its handlers noted down. */
import type { ApiUser, JobOnWire } from "../../support/api-user.ts";
import type { ChaosEvent } from "./chaos.ts";
import type { SoakedJob } from "./job-stream.ts";
import { isExplained, repetitions, type Run } from "./runs.ts";

/** What a handler's death is told as; a blow may have been at its cause. */
const DEATHS = /killed|exited|died|ended/;

export interface Ended extends SoakedJob {
  readonly job: JobOnWire;
}

export interface Judged {
  /** Each with a sentence; empty: all was right. */
  readonly faults: string[];
}

/** `events`: all blows; a repetition that none of them explains is a fault. Absent: anything may explain one. */
export async function judge(
  user: ApiUser,
  jobs: readonly Ended[],
  runs: readonly Run[],
  events?: readonly ChaosEvent[],
): Promise<Judged> {
  const faults: string[] = [];
  for (const ended of jobs) {
    const found = [...(await rowFaults(user, ended)), ...runFaults(ended, runs)];
    faults.push(...found.map((fault) => `job ${ended.job.job_id}: ${fault}`));
  }
  if (events === undefined) return { faults };
  const careful = new Set(jobs.flatMap(({ job, bad }) => (bad.length === 0 ? [job.job_id] : []))); // others are taken apart
  const again = repetitions(runs).filter(({ first }) => careful.has(first.job));
  for (const repetition of again.filter((one) => !isExplained(one, events)).slice(0, 10)) {
    faults.push(`a repetition without a reason: ${JSON.stringify(repetition)}`);
  }
  return { faults };
}

/** Each item stands once in the results, twice its number, or once in the errors. */
async function rowFaults(user: ApiUser, { job, bad }: Ended): Promise<readonly string[]> {
  const faults: string[] = [];
  const { state, items, message } = job;
  const errors = await user.errors(job);
  const failed = errors.map(({ index }) => index);
  if (bad.some((index) => !failed.includes(index)))
    faults.push(`it has no error of some item that its handler refuses`);
  for (const { index, error } of errors) {
    if (bad.includes(index) || (bad.length > 0 && DEATHS.test(error))) continue;
    faults.push(`item ${String(index)} failed: ${error}`);
  }
  const right = state === (failed.length === 0 ? "succeeded" : "completed_with_failures");
  if (!right || items.failed !== failed.length || items.succeeded + items.failed !== items.total) {
    faults.push(`it is ${state}: ${JSON.stringify(items)}, ${String(failed.length)} errors; ${message}`);
  }
  const rows = await user.results(job);
  const whole = Array.from({ length: items.total }, (_, index) => index).filter((index) => !failed.includes(index));
  const wrong = whole.findIndex((index, at) => rows[at]?.index !== index || rows[at].result !== 2 * index);
  if (wrong >= 0 || rows.length !== whole.length) {
    faults.push(`${String(rows.length)} rows where ${String(whole.length)} are due, wrong at ${String(wrong)}`);
  }
  return faults;
}

/** Every batch was run to its end, and nothing else was run. */
function runFaults({ job, bad }: Ended, runs: readonly Run[]): readonly string[] {
  if (bad.length > 0) return []; // its batches are taken apart
  const size = job.input.batch_size;
  const own = runs.filter((run) => run.job === job.job_id);
  const finished = new Set(own.filter(({ endedAt }) => endedAt !== undefined).map(({ first }) => first));
  const missing = job.batches.total - finished.size;
  const strange = own.filter(({ first, items }) => first % size !== 0 || items > size || first >= job.items.total);
  return [
    ...(missing === 0 ? [] : [`${String(missing)} batches were never run to their end`]),
    ...(strange.length === 0 ? [] : [`${String(strange.length)} runs of batches that there are not`]),
  ];
}
