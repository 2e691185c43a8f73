import type { ObjectStore } from "../../services/backends/object-store.ts";
import { createJobService } from "../../services/batch-api/jobs/jobs.ts";
import type { JobService } from "../../services/batch-api/jobs/job-service.ts";
import type { ResultRow } from "../../services/protocol/jobs.ts";
import type { UserJob } from "./user-job.ts";
import { API } from "./workload.ts";

/** A cluster, as far as who looks from outside needs it. */
interface SeenFromOutside {
  readonly store: ObjectStore;
  readonly outside: Pick<Parameters<typeof createJobService>[0], "dataset" | "logs" | "clock" | "random">;
}

/** A job service that looks from outside: nothing befalls its calls, and they take no time. */
export function outsideService({ store, outside }: SeenFromOutside): JobService {
  return createJobService({ store, lanes: 1, live: () => undefined, poke: () => undefined, ...outside });
}

/** Indexes of a job's items, or of its family's, by what came of them, in the order in which they are handed out. */
export interface Rows {
  readonly results: readonly ResultRow[];
  readonly failed: readonly number[];
}

export async function rowsOf(jobs: JobService, id: string, family: boolean): Promise<Rows> {
  const options = { follow: false, family, signal: new AbortController().signal };
  const pieces: Buffer[] = [];
  for await (const piece of jobs.results(API, id, options)) pieces.push(piece);
  const lines = Buffer.concat(pieces).toString("utf8").split("\n");
  const results = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as ResultRow);
  const failed: number[] = [];
  for await (const { index } of jobs.errors(API, id, options)) failed.push(index);
  return { results, failed };
}

/** Which items of an ended job a retry of it must run. */
export async function itemsToRetry(jobs: JobService, { id = "", planned }: UserJob): Promise<number[]> {
  const { results, failed } = await rowsOf(jobs, id, false);
  if (planned.retry?.items === "failed") return [...failed];
  const done = new Set(results.map(({ index }) => index));
  return planned.items.flatMap((_, index) => (done.has(index) ? [] : index));
}

/** I16: a job and its retry, read as one, have each item once: where either of them did it, its result. */
export async function familyProblems(jobs: JobService, user: UserJob): Promise<string[]> {
  const { retried, planned, id = "" } = user;
  if (retried?.id === undefined) return [];
  const problems: string[] = [];
  const [own, again] = [await rowsOf(jobs, id, false), await rowsOf(jobs, retried.id, false)];
  const origin = (index: number) => user.toRetry[index] ?? -1;
  const done = new Set([...own.results.map(({ index }) => index), ...again.results.map(({ index }) => origin(index))]);
  for (const asked of [id, retried.id]) {
    const { results, failed } = await rowsOf(jobs, asked, true);
    const told = results.map(({ index }) => index);
    const wanted = [...done].sort((a, b) => a - b);
    if (told.join() !== wanted.join())
      problems.push(`I16: the family of job ${user.name} has results of items ${told.join()}, not ${wanted.join()}`);
    for (const { index, result } of results)
      if (JSON.stringify(result) !== planned.items[index])
        problems.push(`I4: the result of item ${String(index)} of the family of job ${user.name} is another one's`);
    const missing = new Set([...own.failed, ...again.failed.map(origin)].filter((index) => !done.has(index)));
    const lost = [...missing].sort((a, b) => a - b);
    if (failed.join() !== lost.join())
      problems.push(`I16: the family of job ${user.name} has errors of items ${failed.join()}, not ${lost.join()}`);
  }
  return problems;
}
