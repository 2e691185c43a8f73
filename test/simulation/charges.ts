import type { ErrorRow } from "../../services/protocol/jobs.ts";
import type { Deed } from "./handler-script.ts";
import type { UserJob } from "./user-job.ts";

/** What a handler does by itself: no fault of the cluster looks like it. */
const DEEDS: Readonly<Partial<Record<string, Deed>>> = { raised: "raise", exited: "exit" };
/** Items of one batch that workers may die over by chance, each of them twice while nothing else ran. */
const UNLUCKY_MAX = 1;

/** I14: items are charged with what their handler did over them, and their neighbours are not where batches can be taken apart. */
export function chargeProblems(user: UserJob, rows: readonly ErrorRow[]): string[] {
  const problems: string[] = [];
  const innocentDead = new Map<number, number>();
  for (const row of rows) {
    const deed = DEEDS[row.cause];
    if (deed !== undefined && !isDoneBy(user, row, deed)) {
      problems.push(
        `I14: item ${String(row.index)} of job ${user.name} failed with ${row.cause}, and another one did it`,
      );
    }
    if (row.cause !== "worker_died" || isDoneBy(user, row, "kill the worker")) continue;
    innocentDead.set(row.batch, (innocentDead.get(row.batch) ?? 0) + 1);
  }
  for (const [batch, items] of innocentDead) {
    if (items <= UNLUCKY_MAX || user.planned.submission.isolate === false) continue;
    problems.push(`I14: ${String(items)} items of batch ${String(batch)} of job ${user.name} are charged with deaths of workers that they did not cause`); // prettier-ignore
  }
  return problems;
}

function isDoneBy({ planned }: UserJob, { index, batch }: ErrorRow, deed: Deed): boolean {
  const { script, submission, batchSize, items } = planned;
  // Where nobody did better in time, its failures are charged like any other's.
  if (script.badMachine === true && deed === "raise") return true;
  const bad = script.deeds.get(batch);
  if (bad?.first.includes(deed) !== true) return false;
  if (submission.isolate === false || bad.item === undefined) return true;
  // Data that has changed since is not read again, so that nobody can tell a failed batch's items apart.
  if (planned.changesAfterMs !== undefined) return true;
  return index === Math.min(batch * batchSize + bad.item, items.length - 1);
}
