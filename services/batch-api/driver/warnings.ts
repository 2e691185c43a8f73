import type { WorkerFacts } from "../../protocol/worker-facts.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { RunningJob } from "./running-job.ts";

/** Workers whose words are told; a job of hundreds of bad machines is told by the first ones. */
const TOLD_MAX = 5;

/** What people should know of a job beside its state, in sentences; the same ones for whoever drives it. */
export function warningsOf(job: Pick<RunningJob, "ledgers" | "notices">): readonly string[] {
  const { workers, fits } = job.ledgers;
  return [...stoodDownWords([...workers.values()]), ...memoryWords(fits), ...job.notices];
}

/** No item is to blame: each ran well, where fewer ran at a time. */
function memoryWords(fits: number | undefined): string[] {
  if (fits === undefined) return [];
  return [`batches ran out of memory, and ${String(fits)} items at a time did not: submit with a batch_size of ${String(fits)} at most, or give the workers more memory`]; // prettier-ignore
}

function stoodDownWords(workers: readonly WorkerFacts[]): string[] {
  const sick = workers.flatMap(({ worker, stoodDown }) => (stoodDown === undefined ? [] : { worker, ...stoodDown }));
  const told = sick.slice(0, TOLD_MAX).map(({ worker, error, traceback }) => {
    const tail = traceback.trim().slice(-LIMITS.errorCharactersMax);
    return `worker ${worker} stood down, charged nothing and is replaced: ${error}${tail === "" ? "" : `\n${tail}`}`;
  });
  const more = sick.length - told.length;
  return more > 0 ? [...told, `${String(more)} more workers stood down like these`] : told;
}

/** Workers that stood down so far. */
export function stoodDownCount(job: Pick<RunningJob, "ledgers">): number {
  let count = 0;
  for (const { stoodDown } of job.ledgers.workers.values()) if (stoodDown !== undefined) count += 1;
  return count;
}
