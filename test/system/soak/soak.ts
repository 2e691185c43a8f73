/**
 * The kill -9 soak: two jobs run while a seeded script kills, ends and freezes service, workers and handlers; then all is
 * left alone, and the jobs must come to their right end. Answers what happened; throws, with the story, when anything is wrong.
 */
import { statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until, zombiesOf } from "../../support/a-service.ts";
import { SystemUnderTest } from "../../support/a-system.ts";
import type { JobOnWire } from "../../support/api-user.ts";
import { Chaos, type ChaosEvent } from "./chaos.ts";
import { isExplained, NOTING_HANDLER, readRuns, repetitions, type Run } from "./runs.ts";

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly say: (sentence: string) => void;
}

export interface SoakReport {
  readonly batches: number;
  readonly settledInChaos: number;
  readonly runs: number;
  readonly repeated: number;
  /** Of these, where the run before had come to its end as well. */
  readonly repeatedAfterEnd: number;
  readonly starts: number;
  /** Times that the service ended without having been told to. */
  readonly ownEnds: number;
  readonly attemptsFailed: number;
  readonly finishSeconds: number;
  readonly events: readonly ChaosEvent[];
}

/** More than four handlers that sleep so long for each batch can do: the jobs outlive the chaos. */
const BATCH_SECONDS = 0.03;
const BATCHES_PER_SECOND = 4 / BATCH_SECONDS;
const WORKERS = 2;
/** Six leases (L1), and the work that is left. */
const FINISH_SECONDS = 90;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const keeper = new Keeper();
  const system = await SystemUnderTest.start({ onSpawned: keeper.onSpawned });
  const notes = join(system.folder, "notes");
  const progress = () => statSync(notes, { throwIfNoEntry: false })?.size ?? 0;
  const { root } = system.service;
  const chaos = new Chaos({ seed: options.seed, root, service: () => keeper.pid, progress, now: Date.now });
  try {
    return await soakOn(system, keeper, chaos, options);
  } catch (error) {
    const story = chaos.events.map(told).join("\n");
    const said = system.service.said().slice(-20_000);
    const lines = [`what was done with seed ${String(options.seed)}:`, story, "the service said:", said, String(error)];
    throw new Error(lines.join("\n"), { cause: error });
  } finally {
    keeper.letGo();
    await system.end();
  }
}

async function soakOn(
  system: SystemUnderTest,
  keeper: Keeper,
  chaos: Chaos,
  options: SoakOptions,
): Promise<SoakReport> {
  const { seconds, say } = options;
  await system.deploy("soak", NOTING_HANDLER, { attempts: 30 });
  const notes = join(system.folder, "notes");
  const calm = join(system.folder, "calm");
  const config = { notes, calm, seconds: BATCH_SECONDS };
  const batches = Math.ceil((seconds * BATCHES_PER_SECOND) / 2);
  const jobs = [
    await system.submit("soak", { workers: WORKERS, config, delimited_files: await lines(system, batches * 3, 3) }),
    await system.submit("soak", { workers: WORKERS, config, item_list: { items: numbers(batches), batch_size: 1 } }),
  ];
  say(`two jobs of ${String(batches)} batches; ${String(seconds)} s of blows begin, seed ${String(options.seed)}`);
  const over = Date.now() + seconds * 1000;
  await Promise.all([chaos.rage(over), keeper.keep(system, over)]);
  await keeper.settle(system);
  const settledInChaos = await settled(system, jobs);
  say(`${String(chaos.events.length)} blows, ${String(settledInChaos)} batches settled; now all is calm`);
  await writeFile(calm, "");
  const calmAt = performance.now();
  const ended = await Promise.all(jobs.map((job) => system.ended(job, FINISH_SECONDS)));
  const finishSeconds = (performance.now() - calmAt) / 1000;
  const runs = readRuns(await readFile(notes, "utf8"));
  await judge(system, ended, runs, chaos.events);
  return {
    batches: 2 * batches,
    settledInChaos,
    runs: runs.length,
    repeated: repetitions(runs).length,
    repeatedAfterEnd: repetitions(runs).filter(({ first }) => first.endedAt !== undefined).length,
    starts: keeper.starts,
    ownEnds: keeper.ownEnds(chaos.events),
    attemptsFailed: ended.reduce((sum, job) => sum + job.attempts_failed, 0),
    finishSeconds,
    events: chaos.events,
  };
}

/** Keeps a service running: whatever ends it, it is started again. */
class Keeper {
  pid: number | undefined;
  starts = 0;
  readonly #ends: (readonly [pid: number, how: number | string])[] = [];

  readonly onSpawned = (pid: number): void => {
    this.pid = pid;
    this.starts += 1;
  };

  async keep(system: SystemUnderTest, until: number): Promise<void> {
    while (Date.now() < until) {
      if (system.service.hasEnded()) await this.#start(system);
      await sleep(20);
    }
  }

  /** A service that has been answering since the last blow. */
  async settle(system: SystemUnderTest): Promise<void> {
    await sleep(200);
    while (system.service.hasEnded()) await this.#start(system);
    await system.request("/health/live");
  }

  /** Ends of the service that no blow explains. */
  ownEnds(events: readonly ChaosEvent[]): number {
    const told = new Set(events.filter(({ deed }) => deed === "kill" || deed === "terminate").map(({ pid }) => pid));
    return this.#ends.filter(([pid]) => !told.has(pid)).length;
  }

  letGo(): void {
    this.pid = undefined;
  }

  async #start(system: SystemUnderTest): Promise<void> {
    const { pid } = this;
    if (pid !== undefined) this.#ends.push([pid, await system.service.ended]);
    this.pid = undefined;
    // it may be struck before it listens
    await system.restart().catch(() => undefined);
  }
}

async function lines(system: SystemUnderTest, items: number, batchSize: number): Promise<object> {
  const path = await system.write("numbers.ndjson", `${numbers(items).join("\n")}\n`);
  return { paths: [path], batch_size: batchSize };
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

async function settled(system: SystemUnderTest, jobs: readonly JobOnWire[]): Promise<number> {
  const now = await Promise.all(jobs.map((job) => system.job(job)));
  for (const { state, message, ended_at: at } of now) {
    if (at !== null) throw new Error(`a job ended before the blows did, as ${state}: ${message}`);
  }
  return now.reduce((sum, { batches }) => sum + batches.succeeded + batches.failed, 0);
}

async function judge(
  system: SystemUnderTest,
  jobs: readonly JobOnWire[],
  runs: readonly Run[],
  events: readonly ChaosEvent[],
): Promise<void> {
  const faults: string[] = [];
  const deaths = events.filter(({ deed }) => deed === "kill" || deed === "terminate").length;
  for (const job of jobs) {
    const { state, items, batches } = job;
    const { batch_size: size } = job.input;
    const right = state === "succeeded" && items.succeeded === items.total && batches.succeeded === batches.total;
    if (!right) faults.push(`job ${job.job_id} is ${state}: ${JSON.stringify({ items, batches })} ${job.message}`);
    const results = await system.results(job);
    const wrong = results.findIndex(({ index, result }, at) => index !== at || result !== 2 * at);
    if (wrong >= 0 || results.length !== items.total) {
      faults.push(
        `job ${job.job_id}: ${String(results.length)} rows of ${String(items.total)}, wrong at ${String(wrong)}`,
      );
    }
    const own = runs.filter((run) => run.job === job.job_id);
    const finished = new Set(own.filter(({ endedAt }) => endedAt !== undefined).map(({ first }) => first));
    if (finished.size !== batches.total)
      faults.push(`${String(batches.total - finished.size)} batches were never run to their end`);
    const strange = own.filter(({ first, items: count }) => first % size !== 0 || count > size || first >= items.total);
    if (strange.length > 0) faults.push(`${String(strange.length)} runs of batches that there are not`);
    if (job.attempts_failed > deaths)
      faults.push(`${String(job.attempts_failed)} failed attempts by ${String(deaths)} deaths`);
  }
  const unexplained = repetitions(runs).filter((repetition) => !isExplained(repetition, events));
  for (const { first, again } of unexplained.slice(0, 10)) {
    faults.push(`a repetition without a reason: ${JSON.stringify(first)} and ${JSON.stringify(again)}`);
  }
  if (faults.length > 0) throw new Error(faults.join("\n"));
  await system.proveAll();
  await until("zombies to be waited for", () => (zombiesOf(system.service.pid).length === 0 ? true : undefined), 5);
}

function told({ at, target, deed, pid, frozenMs }: ChaosEvent): string {
  const how = frozenMs > 0 ? ` for ${String(frozenMs)} ms` : "";
  return `${new Date(at).toISOString()} ${deed} ${target} ${String(pid)}${how}`;
}
