import type { WorkerFacts } from "../../protocol/worker-facts.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { RunningJob } from "./running-job.ts";

/** Workers whose words are told; a job of hundreds of bad machines is told by the first ones. */
const TOLD_MAX = 5;

/** What people should know of a job beside its state, in sentences; the same ones for whoever drives it. */
export function warningsOf(job: Pick<RunningJob, "ledgers" | "notices">): readonly string[] {
  return [...stoodDownWords([...job.ledgers.workers.values()]), ...job.notices];
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
