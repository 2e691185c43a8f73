/**
 * The kill -9 soak: jobs compete for two lanes while a seeded script kills, ends and freezes service, workers and handlers;
 * then all is left alone, and the jobs must come to their right end. Answers what happened; throws, with the story, when
 * anything is wrong, or was not tried.
 */
import { statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { descriptorsOf } from "../../support/descriptors.ts";
import { until, zombiesOf } from "../../support/a-service.ts";
import { SystemUnderTest } from "../../support/a-system.ts";
import { Chaos, told } from "./chaos.ts";
import { JobStream, type SoakedJob } from "./job-stream.ts";
import { judge } from "./judge.ts";
import { Keeper } from "./keeper.ts";
import { LaptopTargets } from "./laptop-targets.ts";
import { NOTING_HANDLER, readRuns, repetitions } from "./runs.ts";

export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly say: (sentence: string) => void;
}

export interface SoakReport {
  readonly jobs: number;
  readonly batches: number;
  readonly settledInChaos: number;
  readonly runs: number;
  /** Batches that were run again, because they were sent or delivered again. */
  readonly repeated: number;
  /** Of these, where the run before had come to its end as well. */
  readonly repeatedAfterEnd: number;
  readonly starts: number;
  /** Times that the service ended without having been told to. */
  readonly ownEnds: number;
  /** Jobs that a service took up from a former one. */
  readonly takeovers: number;
  /** Lanes that went from one job to the next. */
  readonly lanesHandedOn: number;
  readonly attemptsFailed: number;
  readonly itemsFailed: number;
  readonly finishSeconds: number;
  readonly blows: Readonly<Record<string, number>>;
}

const LANES = 2;
/** Twice as many as lanes: there is always somebody who waits. */
const ALIVE = 4;
const WORKERS = 2;
const BATCH_SECONDS = 0.03;
/** Some seconds of a lane's workers, as blows let them work. */
const BATCHES = 120;
/** Six leases (L1) for each job that is left on a lane, and its work. */
const FINISH_SECONDS = 150;
/** From so many seconds on, every kind of blow finds its turn. */
const WHOLE_SECONDS = 45;
/** How much longer it goes on on a machine that is too busy for that. */
const LATE_MS = 60_000;

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const keeper = new Keeper();
  const system = await SystemUnderTest.start({ onSpawned: keeper.onSpawned, lanes: LANES });
  const notes = join(system.folder, "notes");
  const progress = () => statSync(notes, { throwIfNoEntry: false })?.size ?? 0;
  const targets = new LaptopTargets({ root: system.service.root, service: () => keeper.pid, progress });
  const chaos = new Chaos({ seed: options.seed, targets, now: Date.now });
  try {
    return await soakOn(system, keeper, chaos, options);
  } catch (error) {
    const story = chaos.events.map(told).join("\n");
    const said = system.service.said().slice(-20_000);
    // what is wrong comes first: whoever cuts a record cuts its end
    const lines = [String(error), `what was done with seed ${String(options.seed)}:`, story, "the service said:", said];
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
  { seconds, seed, say }: SoakOptions,
): Promise<SoakReport> {
  await system.request("/health/live");
  const fresh = descriptorsOf(system.service);
  await system.deploy("soak", NOTING_HANDLER, { attempts: 30 });
  const [notes, calm] = [join(system.folder, "notes"), join(system.folder, "calm")];
  const config = { notes, calm, seconds: BATCH_SECONDS };
  const stream = new JobStream(system, "soak", (number) => jobOf(system, number, { workers: WORKERS, config }));
  say(
    `${String(seconds)} s of blows begin, seed ${String(seed)}; ${String(ALIVE)} jobs compete for ${String(LANES)} lanes`,
  );
  const over = Date.now() + seconds * 1000;
  const latest = seconds >= WHOLE_SECONDS ? over + LATE_MS : over;
  const isOver = () => chaos.isOver;
  await Promise.all([chaos.rage(over, latest), keeper.keep(system, isOver), stream.keep(ALIVE, isOver)]);
  await keeper.settle(system);
  const settledInChaos = await settled(system, stream);
  say(`${String(chaos.events.length)} blows on ${String(stream.submitted.length)} jobs; now all is calm`);
  await writeFile(calm, "");
  const calmAt = performance.now();
  const ended = await stream.ended(FINISH_SECONDS);
  const finishSeconds = (performance.now() - calmAt) / 1000;
  const runs = readRuns(await readFile(notes, "utf8"));
  const { faults } = await judge(system, ended, runs, chaos.events);
  const again = repetitions(runs);
  const lanes = keeper.lanes(system);
  const report: SoakReport = {
    jobs: ended.length,
    batches: ended.reduce((sum, { job }) => sum + job.batches.total, 0),
    settledInChaos,
    runs: runs.length,
    repeated: again.length,
    repeatedAfterEnd: again.filter(({ first }) => first.endedAt !== undefined).length,
    starts: keeper.starts,
    ownEnds: keeper.ownEnds(chaos.events),
    takeovers: lanes.takeovers,
    lanesHandedOn: lanes.handedOn,
    attemptsFailed: ended.reduce((sum, { job }) => sum + job.attempts_failed, 0),
    itemsFailed: ended.reduce((sum, { job }) => sum + job.items.failed, 0),
    finishSeconds,
    blows: Object.fromEntries(chaos.blows),
  };
  if (seconds >= WHOLE_SECONDS) faults.push(...untried(report));
  if (faults.length > 0) throw new Error([...faults, JSON.stringify(report)].join("\n"));
  await proveNothingLeft(system, fresh);
  return report;
}

/** Lines of a file, single inline items, and batches with items that their handler refuses, in turn. */
async function jobOf(system: SystemUnderTest, number: number, common: object): Promise<SoakedJob> {
  if (number % 3 === 0) {
    const path = await system.write(`${String(number)}.ndjson`, `${numbers(3 * BATCHES).join("\n")}\n`);
    return { body: { ...common, delimited_files: { paths: [path], batch_size: 3 } }, bad: [] };
  }
  if (number % 3 === 1) return { body: { ...common, item_list: { items: numbers(BATCHES), batch_size: 1 } }, bad: [] };
  const bad = [5, 6, 4 * BATCHES - 1];
  // a negative number is what the handler of a soak refuses
  const items = numbers(4 * BATCHES).map((item) => (bad.includes(item) ? -item : item));
  return { body: { ...common, attempts: 3, item_list: { items, batch_size: 4 } }, bad };
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index);
}

async function settled(system: SystemUnderTest, { submitted }: JobStream): Promise<number> {
  const now = await Promise.all(submitted.map(({ job }) => system.job(job)));
  return now.reduce((sum, { batches }) => sum + batches.succeeded + batches.failed, 0);
}

/** What never happened was not tried. */
function untried(report: SoakReport): readonly string[] {
  const { repeated, takeovers, lanesHandedOn, settledInChaos, itemsFailed } = report;
  const rare = { repeated, takeovers, lanesHandedOn, settledInChaos, itemsFailed };
  const never = Object.entries({ ...report.blows, ...rare }).filter(([, times]) => times === 0);
  return never.map(([what]) => `it never came to: ${what}`);
}

/** Every job verified; no process, zombie or descriptor more than a service has that has just started (`fresh`). */
async function proveNothingLeft(system: SystemUnderTest, fresh: readonly string[]): Promise<void> {
  await system.proveAll();
  const { service } = system;
  await until("zombies to be waited for", () => (zombiesOf(service.pid).length === 0 ? true : undefined), 5);
  const held = () => descriptorsOf(service);
  await until("files to be closed", () => (held().length <= fresh.length ? true : undefined), 20).catch(() => {
    throw new Error(`the service holds ${held().join(" ")}; a fresh one ${fresh.join(" ")}`);
  });
}
